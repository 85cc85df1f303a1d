/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_policy.c - the words of the file.
 */
#include "sinks/row_policy.h"

const char *clash_order_word(enum clash_order order) {
    static const char *const WORDS[CLASH_ORDERS] = {[CLASH_STOPS] = "error",
                                                    [CLASH_FIRST] = "first_wins",
                                                    [CLASH_LAST_COMMIT] = "last_commit_wins",
                                                    [CLASH_BY_SOURCE] = "by_source"};
    return WORDS[order];
}

bool row_policy_is_ordered(const struct row_policy *policy) {
    return policy->on_clash == CLASH_FIRST || (policy->by_count > 0 && !policy->keeps_last);
}
