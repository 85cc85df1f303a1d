/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failing_allocation.c - for LD_PRELOAD: the allocation whose number PGCDC_FAIL_ALLOCATION says has no
 * memory.
 *
 * Only those are counted that the program itself or libpq asks for: others end the process when they get
 * nothing, as they say. It is told on standard error when it happens, so that a test knows when the number is
 * past the last one.
 */
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

enum { RANGES_MAX = 32 };

static struct range { uintptr_t begin, end; } ranges[RANGES_MAX];
static size_t range_count;
static unsigned long fails_at;
static atomic_ulong asked;

static int note_object(struct dl_phdr_info *info, size_t size, void *context) {
    (void) size;
    (void) context;
    if (info->dlpi_name[0] != '\0' && strstr(info->dlpi_name, "libpq.so") == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum && range_count < RANGES_MAX; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0)
            ranges[range_count++] = (struct range){.begin = begin, .end = begin + part->p_memsz};
    }
    return 0;
}

__attribute__((constructor)) static void prepare(void) {
    const char *wanted = getenv("PGCDC_FAIL_ALLOCATION");
    if (wanted == NULL)
        return;
    dl_iterate_phdr(note_object, NULL);
    fails_at = strtoul(wanted, NULL, 10);
}

static bool fails(const void *caller) {
    static const char TEXT[] = "an allocation failed\n";
    if (fails_at == 0)
        return false;
    for (size_t i = 0; i < range_count; i++) {
        if ((uintptr_t) caller < ranges[i].begin || (uintptr_t) caller >= ranges[i].end)
            continue;
        if (atomic_fetch_add(&asked, 1) + 1 != fails_at)
            return false;
        return write(STDERR_FILENO, TEXT, sizeof TEXT - 1) > 0;
    }
    return false;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}

void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, bytes);
}
