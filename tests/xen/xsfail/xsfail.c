// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has xensocket's page allocations fail, for tests: the first @after of them succeed,
 * the later ones do not. It changes what the allocator returns to the module, so that
 * the module itself holds nothing for the test's sake. Debian's kernels are built
 * without fault injection. Where the kernel has it, one place is kept out of it.
 */
#include <linux/gfp.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/string.h>

static int after = -1;
module_param(after, int, 0644);
MODULE_PARM_DESC(after, "allocations that still succeed (default -1: all)");

/* Only single pages; a nonzero return leaves the call alone. */
static int xsfail_called(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	return READ_ONCE(after) < 0 || regs_get_kernel_argument(regs, 1);
}

static int xsfail_returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct page *page = (struct page *)regs_return_value(regs);
	char caller[KSYM_SYMBOL_LEN];
	int left = READ_ONCE(after);

	if (left < 0 || !page)
		return 0;
	sprint_symbol(caller, get_kretprobe_retaddr(instance));
	if (!strstr(caller, "[xensocket]"))
		return 0;
	if (left) {
		WRITE_ONCE(after, left - 1);
		return 0;
	}
	__free_page(page);
	regs_set_return_value(regs, 0);
	return 0;
}

static struct kretprobe probe = {
	.entry_handler = xsfail_called,
	.handler = xsfail_returns,
};

#ifdef CONFIG_FAULT_INJECTION
/*
 * The kernel does not look whether it gets its files below /proc/irq, and complains
 * when it takes away one that it did not get: a failure there (fail-nth) says nothing
 * about the module, so there is none.
 */
static int xsfail_irq_files(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(unsigned int *)instance->data = READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
	return 0;
}

static int xsfail_irq_files_end(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	WRITE_ONCE(current->fail_nth, *(unsigned int *)instance->data);
	return 0;
}

static struct kretprobe irq_files = {
	.kp.symbol_name = "register_irq_proc",
	.entry_handler = xsfail_irq_files,
	.handler = xsfail_irq_files_end,
	.data_size = sizeof(unsigned int),
};

static int xsfail_spare_irq_files(void)
{
	return register_kretprobe(&irq_files);
}

static void xsfail_spare_no_irq_files(void)
{
	unregister_kretprobe(&irq_files);
}
#else
static int xsfail_spare_irq_files(void)
{
	return 0;
}

static void xsfail_spare_no_irq_files(void)
{
}
#endif

static int __init xsfail_init(void)
{
	/* Since Linux 6.10 and before; without NUMA (the debug kernel) the first is inline. */
	static const char * const names[] = {
		"alloc_pages_noprof", "alloc_pages", "__alloc_pages_noprof", "__alloc_pages",
	};
	int err = -ENOENT, i;

	for (i = 0; err == -ENOENT && i < ARRAY_SIZE(names); i++) {
		probe.kp.addr = NULL;
		probe.kp.symbol_name = names[i];
		err = register_kretprobe(&probe);
	}
	if (err)
		return err;
	err = xsfail_spare_irq_files();
	if (err)
		unregister_kretprobe(&probe);
	return err;
}

static void __exit xsfail_exit(void)
{
	xsfail_spare_no_irq_files();
	unregister_kretprobe(&probe);
}

module_init(xsfail_init);
module_exit(xsfail_exit);

MODULE_DESCRIPTION("Lets allocations of xensocket fail");
MODULE_LICENSE("GPL");
