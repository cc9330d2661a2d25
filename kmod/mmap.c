// SPDX-License-Identifier: GPL-2.0-only
/* The ring in user space. The layout is in uapi/xensocket.h. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <xen/features.h>

#include "xsock.h"

/* The page at an offset of the mapping, as the ring is now. The lock is held. */
static struct page *xsock_page_at(struct xsock_ring *ring, unsigned long index)
{
	if (index == XSOCK_MMAP_RX_PAGE)
		return virt_to_page(ring->rx);
	if (index == XSOCK_MMAP_TX_PAGE)
		return virt_to_page(ring->tx);
	return ring->pages[(index - XSOCK_MMAP_DATA) & (ring->npages - 1)];
}

/*
 * Pages are only ever inserted here, under the lock of the ring: a revocation zaps
 * the mapping under the same lock and finds every page table entry there is. All of
 * the mapping at once, so that there is one fault at the beginning and one after a
 * revocation.
 */
static vm_fault_t xsock_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct xsock_ring *ring = vma->vm_private_data;
	unsigned long index = vma->vm_pgoff, address;
	vm_fault_t result = VM_FAULT_NOPAGE;
	int err;

	mutex_lock(&ring->lock);
	for (address = vma->vm_start; address < vma->vm_end; address += PAGE_SIZE, index++) {
		err = vm_insert_page(vma, address, xsock_page_at(ring, index));
		/* -EBUSY: there already. Failures count for the page asked for only. */
		if (err && err != -EBUSY && address == (vmf->address & PAGE_MASK))
			result = err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	}
	mutex_unlock(&ring->lock);
	return result;
}

static const struct vm_operations_struct xsock_vm_ops = {
	.fault = xsock_fault,
};

int xsock_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma)
{
	struct xsock_ring *ring = xsock_ring_of(sock->sk);
	unsigned long first = vma->vm_pgoff, count = vma_pages(vma);
	unsigned long clear = VM_MAYEXEC;
	bool writable, control;

	if (!ring)
		return -ENOTCONN;
	/* A foreign page in a PV guest's page tables would need gntdev's machinery. */
	if (ring->role == XSOCK_ROLE_RX && !xen_feature(XENFEAT_auto_translated_physmap))
		return -EOPNOTSUPP;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC)
		return -EINVAL;
	if (first > XSOCK_MMAP_PAGES(ring->npages) ||
	    count > XSOCK_MMAP_PAGES(ring->npages) - first)
		return -EINVAL;

	/* The transmitter writes all but the rx page, the receiver that one only. */
	if (ring->role == XSOCK_ROLE_TX) {
		writable = first > XSOCK_MMAP_RX_PAGE;
		control = first <= XSOCK_MMAP_TX_PAGE;
	} else {
		writable = first == XSOCK_MMAP_RX_PAGE && count == 1;
		control = true;
	}
	if (!writable && vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (!writable)
		clear |= VM_MAYWRITE;
	/*
	 * No copy for children: two processes would write one index. No growth, no
	 * core dumps of somebody else's memory.
	 */
	vm_flags_mod(vma, VM_MIXEDMAP | VM_IO | VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP,
		     clear);
	vma->vm_private_data = ring;
	vma->vm_ops = &xsock_vm_ops;

	mutex_lock(&ring->lock);
	ring->mapping = file->f_mapping;
	if (writable && control)
		WRITE_ONCE(ring->mapped, true);
	mutex_unlock(&ring->lock);
	return 0;
}
