/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_connection.c - connects as run would, and explains a server that says no.
 */
#include <string.h>
#include <sys/stat.h>

#include "cdc/check.h"

/* What the server or libpq says, and what an operator can do about it; the first that fits. */
struct remedy {
    const char *sign;
    const char *fix;
};

static const struct remedy REMEDIES[] = {
    {"logical_decoding_work_mem", "correct source.decoding_work_mem"},
    {"unsupported startup parameter",
     "this looks like a connection pooler; let the dsn point to the server itself"},
    {"bouncer", "this looks like a connection pooler; let the dsn point to the server itself"},
    {"no pg_hba.conf entry",
     "add a line to the server's pg_hba.conf: host DATABASE ROLE ADDRESS scram-sha-256\n"
     "then: select pg_reload_conf();"},
    {"pg_hba.conf rejects", "change the line of the server's pg_hba.conf that rejects this role"},
    {"password authentication failed",
     "correct the password (password_file, PGPASSWORD, ~/.pgpass or the dsn)"},
    {"no password supplied", "give the password: password_file, PGPASSWORD, ~/.pgpass or the dsn"},
    {"must be superuser or replication role", "alter role %s with replication;"},
    {"permission denied to start WAL sender", "alter role %s with replication;"},
    {"standby connections exceed", "alter system set max_wal_senders = 20;  -- then restart the server"},
    {"number of requested standby", "alter system set max_wal_senders = 20;  -- then restart the server"},
    {"too many", "close other connections, or raise max_connections and restart the server"},
    {"remaining connection slots",
     "close other connections, or raise max_connections and restart the server"},
    {"role \"", "create the role, or correct user in the dsn"},
    {"database \"", "create the database, or correct dbname in the dsn"},
    {"does not support SSL", "switch TLS on at the server (ssl = on), or correct sslmode in the dsn"},
    {"certificate verify failed",
     "let sslrootcert in the dsn name the CA that signed the server's certificate, or renew that certificate"},
    {"does not match host name", "let host in the dsn be a name that the server's certificate has"},
    {"root certificate file",
     "put the CA's certificate where sslrootcert in the dsn says, readable by the user that runs pgcdc"},
    {"certificate file", "correct sslcert in the dsn, or put the file there"},
    {"private key file", "correct sslkey in the dsn, or put the file there with mode 0600"},
    {"password_file ",
     "write the password into the file that password_file names, readable by the user that runs pgcdc"},
    {"could not translate host name", "correct host in the dsn"},
    {"Connection refused",
     "start the server, or correct host and port in the dsn (listen_addresses, firewall)"},
    {"no answer", "correct host and port in the dsn, or let the firewall pass them"},
    {"starting up", "wait until the server is up"},
};

static const char *find_remedy(const char *text) {
    for (size_t i = 0; i < sizeof REMEDIES / sizeof REMEDIES[0]; i++)
        if (strstr(text, REMEDIES[i].sign) != NULL)
            return REMEDIES[i].fix;
    return "correct the dsn";
}

/* Where it was found is said beside it. */
static const char *without_peer(const char *text) {
    static const char *const PEERS[] = {"source: ", "target: "};
    for (size_t i = 0; i < sizeof PEERS / sizeof PEERS[0]; i++)
        if (strncmp(text, PEERS[i], strlen(PEERS[i])) == 0)
            return text + strlen(PEERS[i]);
    return text;
}

void check_add_unreachable(struct check *check, const struct error *error, bool replication) {
    static const char ROLE[] = "%s";
    findings_add(&check->findings, SEVERITY_PROBLEM, replication ? "replication_connection" : "connection",
                 "%s%s", replication ? "no replication connection: " : "", without_peer(error->text));
    const char *fix = error->remedy[0] != '\0' ? error->remedy : find_remedy(error->text);
    const char *role = strstr(fix, ROLE);
    if (role == NULL)
        findings_fix(&check->findings, "%s", fix);
    else
        findings_fix(&check->findings, "%.*s%s%s", (int) (role - fix), fix,
                     check_name(check, NULL, check->facts.role), role + strlen(ROLE));
}

static bool has_password(const char *dsn) {
    bool found = false;
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &message);
    PQfreemem(message);
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        found = found || (strcmp(option->keyword, "password") == 0 && option->val != NULL);
    PQconninfoFree(options);
    return found;
}

static bool has_secret(const struct config_sink *sink) {
    for (size_t i = 0; sink->ops->is_secret != NULL && i < sink->sink.option_count; i++)
        if (sink->ops->is_secret(sink->sink.options[i].key))
            return true;
    return false;
}

/* Whether the password stands in the file or came from the environment is not known any more. */
bool check_config_file(struct check *check, struct error *err) {
    const struct config *config = check->config;
    struct stat file;
    (void) err;
    bool found = has_password(config->source.dsn);
    for (size_t i = 0; i < config->sink_count; i++) {
        const char *dsn = sink_config_find(&config->sinks[i].sink, "dsn");
        found = found || (dsn != NULL && has_password(dsn)) || has_secret(&config->sinks[i]);
    }
    if (!found || stat(config->path, &file) != 0 || !S_ISREG(file.st_mode) || (file.st_mode & S_IROTH) == 0)
        return true;
    findings_add(&check->findings, SEVERITY_WARNING, "file_mode",
                 "%s is readable by every user of this machine, and it has a password or another secret",
                 config->path);
    findings_fix(&check->findings, "chmod o-rwx %s; or take the password from password_file or ${VARIABLE}",
                 config->path);
    return true;
}

bool check_source_connection(struct check *check, struct error *err) {
    struct error answer = {0};
    if (source_open(&check->source, &check->config->source, check->stop, &answer)) {
        check_transport(check, &check->source);
        return true;
    }
    if (answer.kind == ERROR_STOPPED)
        return error_set(err, ERROR_STOPPED, "stopped");
    check_add_unreachable(check, &answer, false);
    return true;
}

/* The only way to know: pg_hba.conf, the role's attribute, a pooler and free senders all have a say. */
bool check_replication_connection(struct check *check, struct error *err) {
    struct error answer = {0};
    if (!source_open_replication(&check->replication, &check->config->source, check->stop, &answer)) {
        check_add_unreachable(check, &answer, true);
        return true;
    }
    check->has_identity = source_identify(&check->replication, &check->identity, err);
    return check->has_identity;
}
