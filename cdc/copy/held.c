/* SPDX-License-Identifier: Apache-2.0 */
#include "cdc/copy/held.h"

#include "cdc/base/amount.h"
#include "cdc/base/log.h"

void held_tell(struct sink *sink, const struct table *tables, size_t count) {
    struct sink_held held = {0};
    struct error err = {0};
    if (sink_admin(sink->ops, find_held) == NULL)
        return;
    if (!sink->ops->admin->find_held(sink, tables, count, &held, &err))
        log_sink(LOG_RECORDS_PRESENT, sink->config->name,
                 "cannot check whether its topics already hold records (%s); if "
                 "they do, consumers receive the present rows again",
                 err.text);
    else if (held.count > 0)
        log_sink(LOG_RECORDS_PRESENT, sink->config->name,
                 "%s already %s records, for example %s; the copy appends "
                 "every present row, so consumers receive those rows again",
                 amount_count(held.count, "topic").text, held.count == 1 ? "holds" : "hold", held.name);
}
