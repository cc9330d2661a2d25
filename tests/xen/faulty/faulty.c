// SPDX-License-Identifier: GPL-2.0-only
/* A module with one mistake of each kind, to see that kernels made for that report it. */
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/panic.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind = "none";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "use-after-free, leak, page-leak, atomic-sleep, lock-order, race, panic");

static DEFINE_SPINLOCK(spinlock);
static DEFINE_MUTEX(outer);
static DEFINE_MUTEX(inner);
static void *leaked;
static unsigned long raced;

/* noinline: the reports are to name these functions. */
static noinline void use_after_free(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	WRITE_ONCE(memory[8], 1);
}

static noinline void leak(void)
{
	leaked = kmalloc(256, GFP_KERNEL);
	leaked = NULL;
}

static noinline void page_leak(void)
{
	leaked = alloc_page(GFP_KERNEL);
	leaked = NULL;
}

static noinline void atomic_sleep(void)
{
	spin_lock(&spinlock);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	spin_unlock(&spinlock);
}

static noinline void lock_order(void)
{
	mutex_lock(&outer);
	mutex_lock(&inner);
	mutex_unlock(&inner);
	mutex_unlock(&outer);

	mutex_lock(&inner);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	mutex_unlock(&inner);
}

static noinline int race(void *until)
{
	while (time_before(jiffies, (unsigned long)until)) {
		raced++;
		/* In memory, each time. */
		barrier();
		cond_resched();
	}
	return 0;
}

static void race_each_other(void)
{
	void *until = (void *)(jiffies + 4 * HZ);
	struct task_struct *other = kthread_create(race, until, "faulty");

	if (IS_ERR(other))
		return;
	get_task_struct(other);
	wake_up_process(other);
	race(until);
	kthread_stop(other);
	put_task_struct(other);
}

static int __init faulty_init(void)
{
	if (!strcmp(kind, "use-after-free"))
		use_after_free();
	else if (!strcmp(kind, "leak"))
		leak();
	else if (!strcmp(kind, "page-leak"))
		page_leak();
	else if (!strcmp(kind, "atomic-sleep"))
		atomic_sleep();
	else if (!strcmp(kind, "lock-order"))
		lock_order();
	else if (!strcmp(kind, "race"))
		race_each_other();
	else if (!strcmp(kind, "panic"))
		panic("on purpose");
	return 0;
}

static void __exit faulty_exit(void)
{
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("Mistakes, on purpose");
MODULE_LICENSE("GPL");
