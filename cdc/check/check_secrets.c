/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_secrets.c - can others read the files with passwords, or the data on a connection?
 */
#include <sys/stat.h>

#include "cdc/base/shell_word.h"
#include "cdc/check/check.h"
#include "cdc/pq/transport.h"

static void check_mode(struct check *check, const char *path) {
    struct stat file;
    if (path == NULL || stat(path, &file) != 0 || !S_ISREG(file.st_mode) ||
        (file.st_mode & (S_IROTH | S_IWOTH)) == 0)
        return;
    findings_add(&check->findings, SEVERITY_WARNING, "password_file_mode",
                 "every user of this machine may %s password_file %s",
                 (file.st_mode & S_IROTH) != 0 ? "read" : "change", path);
    findings_fix(&check->findings, "chmod o-rwx %s", shell_word_of_file(path).text);
}

bool check_password_files(struct check *check, struct error *err) {
    (void) err;
    check_mode(check, check->config->source.password_file);
    for (size_t i = 0; i < check->config->sink_count; i++)
        check_mode(check, sink_config_find(&check->config->sinks[i].sink, "password_file"));
    return true;
}

void check_transport(struct check *check, const struct session *session) {
    switch (transport_of(session->conn)) {
    case TRANSPORT_LOCAL:
    case TRANSPORT_VERIFIED:
        return;
    case TRANSPORT_PLAIN:
        findings_add(&check->findings, SEVERITY_NOTE, "not_encrypted",
                     "the connection to %s is not encrypted: anyone on the network path can read the rows",
                     PQhost(session->conn));
        break;
    case TRANSPORT_UNVERIFIED:
        findings_add(&check->findings, SEVERITY_NOTE, "not_verified",
                     "the connection to %s is encrypted, but the server's identity is not verified",
                     PQhost(session->conn));
        break;
    }
    findings_fix(&check->findings,
                 "add to the dsn: sslmode=verify-full sslrootcert=FILE, FILE with the certificate of "
                 "the authority that signed the server's");
}
