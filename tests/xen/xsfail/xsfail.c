// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has xensocket's page allocations fail, for tests: the first @after of them succeed,
 * the later ones do not. It changes what the allocator returns to the module, so that
 * the module itself holds nothing for the test's sake. Debian's kernels are built
 * without fault injection.
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

static int __init xsfail_init(void)
{
	int err;

	/* Its name since Linux 6.10, and before. */
	probe.kp.symbol_name = "alloc_pages_noprof";
	err = register_kretprobe(&probe);
	if (err == -ENOENT) {
		probe.kp.addr = NULL;
		probe.kp.symbol_name = "alloc_pages";
		err = register_kretprobe(&probe);
	}
	return err;
}

static void __exit xsfail_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(xsfail_init);
module_exit(xsfail_exit);

MODULE_DESCRIPTION("Lets allocations of xensocket fail");
MODULE_LICENSE("GPL");
