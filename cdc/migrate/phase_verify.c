/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase_verify.c - both sides are compared while changes are applied, and the result is kept.
 */
#include <stdio.h>

#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/migrate.h"
#include "cdc/migrate/proof/proof.h"
#include "cdc/verify/verify.h"
#include "cdc/verify/verify_print.h"

static bool take_result(struct migrate *migrate, const struct verify *verify, struct error *err) {
    struct step row;
    FAULT_POINT("migrate-compared");
    verify_print(verify, stdout);
    fflush(stdout);
    if (!migrate_reconnect(migrate, err) ||
        !proof_store_verify(&migrate->steps, migrate->sink, verify, err) ||
        !steps_read(&migrate->steps, PROOF_VERIFY, "", &migrate->arena, &row, err))
        return false;
    if (verify->result == VERIFY_MOVING)
        return error_set(err, ERROR_DATA, "the comparison is undecided, as printed; run the command again");
    migrate->is_different = row.state != STEP_DONE;
    return true;
}

bool phase_verify(struct migrate *migrate, struct error *err) {
    const struct verify_options options = {.sink = migrate->sink, .stop = migrate->stop};
    struct verify verify AUTO(verify_release) = {0};
    return migrate_begin(migrate, PROOF_VERIFY, err) &&
           verify_run(&verify, migrate->config, &options, &migrate->arena, err) &&
           take_result(migrate, &verify, err);
}
