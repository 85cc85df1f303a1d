/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_process.c - of /proc/self and getrusage.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cdc/http/metrics_page.h"
#include "cdc/http/metrics_text.h"

static uint64_t read_resident_bytes(void) {
    uint64_t size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t count_descriptors(void) {
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* the folder's own */
}

static void put_one(struct buffer *text, const char *name, const char *help, uint64_t value) {
    metric_begin(text, name, "gauge", help);
    metric_put(text, name, METRIC_NO_LABELS, value);
}

void metrics_process_put(struct buffer *text) {
    struct rusage usage;
    struct rlimit limit = {0};
    static const char CPU[] = "pgcdc_process_cpu_seconds_total";
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        metric_begin(text, CPU, "counter", "CPU time of this process, user and system.");
        metric_put_seconds(text, CPU, METRIC_NO_LABELS,
                           (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
                               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
    put_one(text, "pgcdc_process_resident_memory_bytes", "Memory of this process.", read_resident_bytes());
    put_one(text, "pgcdc_process_open_fds", "Open file descriptors of this process.", count_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        put_one(text, "pgcdc_process_max_fds", "How many file descriptors it may open.", limit.rlim_cur);
}
