/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_connection.c - connects as run would, and explains why a server refuses.
 */
#include <string.h>
#include <sys/stat.h>

#include "cdc/base/buffer.h"
#include "cdc/base/shell_word.h"
#include "cdc/check/check.h"

enum { KEYWORD_MAX = 64, FIX_BYTES_MAX = 65536 };

/*
 * A server's refusal is identified by SQLSTATE and function, which are the same in every language. The
 * message text is searched only for names and for texts of pgcdc or libpq, or for a more exact English text
 * before a general one. The first entry that matches counts; NULL matches all.
 */
struct remedy {
    const char *sqlstate; /* "": not from a server */
    const char *place;
    const char *sign;
    const char *fix;
};

#define POOLER "this looks like a connection pooler; let the dsn point to the server itself"
#define CLIENT_CERTIFICATE                                                                                   \
    "let sslcert in the dsn name a client certificate that is signed by the CA in the server's ssl_ca_file"
#define SENDERS "alter system set max_wal_senders = 20;  -- then restart the server"

static const struct remedy REMEDIES[] = {
    {NULL, NULL, "logical_decoding_work_mem", "correct source.decoding_work_mem"},
    {"", NULL, "out of memory", "give this machine more memory, and check again"},
    {"08P01", NULL, "unsupported startup parameter", POOLER},
    {"08P01", NULL, "bouncer", POOLER},
    {"28P01", NULL, NULL,
     "correct the password (password_file, PGPASSWORD, ~/.pgpass or the dsn); a role that does not exist is "
     "refused in the same way"},
    {"28000", "ClientAuthentication", "requires a valid client certificate",
     CLIENT_CERTIFICATE ", and sslkey its key"},
    {"28000", NULL, "certificate authentication failed",
     "let user in the dsn be the name (CN) in the certificate that sslcert names, or map that name in the "
     "server's pg_ident.conf"},
    {"28000", "ClientAuthentication", NULL,
     "let the server's pg_hba.conf have this line before all that reject the role: host DATABASE ROLE "
     "ADDRESS scram-sha-256\n"
     "then: select pg_reload_conf();\nif that line asks for a certificate (clientcert), give sslcert and "
     "sslkey in the dsn"},
    {"28000", "InitializeSessionUserId", NULL,
     "create the role (create role ROLE login), let it log in (alter role ROLE login), or correct user in "
     "the dsn"},
    {"28000", NULL, NULL,
     "the line of the server's pg_hba.conf for this role asks for another proof than a password (peer, "
     "ident, cert, ldap, gss): give it, "
     "or let the line say scram-sha-256"},
    {"3D000", NULL, NULL, "create the database, or correct dbname in the dsn"},
    {"42501", "CheckMyDatabase", NULL, "grant connect on database DATABASE to ROLE;"},
    {"42501", NULL, NULL, "alter role ROLE with replication;"},
    {"53300", "InitializeSessionUserId", NULL,
     "raise the role's limit (alter role ROLE connection limit -1), or close other connections of it"},
    {"53300", "CheckMyDatabase", NULL,
     "raise the database's limit (alter database DATABASE connection limit -1), or close other connections "
     "to it"},
    {"53300", NULL, NULL, "close other connections, or raise max_connections and restart the server"},
    {"57P03", NULL, NULL, "wait until the server is up"},
    {"42704", NULL, NULL, "correct options in the dsn"},
    {"22023", NULL, NULL, "correct options in the dsn"},
    {"55P02", NULL, NULL, "correct options in the dsn"},
    {"", NULL, "no password supplied", "give the password: password_file, PGPASSWORD, ~/.pgpass or the dsn"},
    {"", NULL, "alert unknown ca", CLIENT_CERTIFICATE},
    {"", NULL, "alert decrypt error", CLIENT_CERTIFICATE},
    {"", NULL, "alert certificate expired", "renew the client certificate that sslcert in the dsn names"},
    {"", NULL, "alert certificate revoked",
     "get a new client certificate for sslcert in the dsn: the server's ssl_crl_file lists this one as "
     "revoked"},
    {"", NULL, "does not support SSL",
     "switch TLS on at the server (ssl = on), or correct sslmode in the dsn"},
    {"", NULL, "certificate verify failed",
     "let sslrootcert in the dsn name the CA that signed the server's certificate, or renew that "
     "certificate"},
    {"", NULL, "does not match host name",
     "let host in the dsn be a name that the server's certificate contains"},
    {"", NULL, "root certificate file",
     "put the CA's certificate where sslrootcert in the dsn says, readable by the user that runs pgcdc"},
    {"", NULL, "key values mismatch",
     "let sslkey in the dsn name the key of the certificate that sslcert names"},
    {"", NULL, "does not match private key file",
     "let sslkey in the dsn name the key of the certificate that sslcert names"},
    {"", NULL, "could not load private key file",
     "let sslkey in the dsn name the certificate's own key, and sslpassword its passphrase if it has one"},
    {"", NULL, "has group or world access",
     "let only the user that runs pgcdc read the file that sslkey in the dsn names (mode 0600)"},
    {"", NULL, "private key file \"",
     "put the key of sslcert's certificate where sslkey in the dsn says, or correct sslkey; mode 0600"},
    {"", NULL, "certificate file",
     "correct sslcert in the dsn, or put the client certificate there, readable by the user that runs pgcdc"},
    {"", NULL, "private key file", "correct sslkey in the dsn, or put the file there with mode 0600"},
    {"", NULL, "password_file ",
     "write the password into the file that password_file names, readable by the user that runs pgcdc"},
    {"", NULL, "invalid port number", "correct port in the dsn"},
    {"", NULL, "could not translate host name", "correct host in the dsn"},
    {"", NULL, "Connection refused",
     "start the server, or correct host and port in the dsn (listen_addresses, firewall)"},
    {"", NULL, "no answer", "correct host and port in the dsn, or let the firewall pass them"},
};

static bool fits(const struct remedy *remedy, const struct error *error) {
    return (remedy->sqlstate == NULL || strcmp(remedy->sqlstate, error->sqlstate) == 0) &&
           (remedy->place == NULL || strcmp(remedy->place, error->place) == 0) &&
           (remedy->sign == NULL || strstr(error->text, remedy->sign) != NULL);
}

static const char *find_remedy(const struct error *error, bool replication) {
    /* Walsenders have their own limit, which the same server function enforces. */
    if (replication && strcmp(error->sqlstate, "53300") == 0 &&
        (strcmp(error->place, "InitProcess") == 0 || strcmp(error->place, "InitWalSenderSlot") == 0))
        return SENDERS;
    for (size_t i = 0; i < sizeof REMEDIES / sizeof REMEDIES[0]; i++)
        if (fits(&REMEDIES[i], error))
            return REMEDIES[i].fix;
    return NULL;
}

/* The finding already says where; remove it from the text. */
static const char *without_peer(const char *text) {
    static const char *const PEERS[] = {"source: ", "target: "};
    for (size_t i = 0; i < sizeof PEERS / sizeof PEERS[0]; i++)
        if (strncmp(text, PEERS[i], strlen(PEERS[i])) == 0)
            return text + strlen(PEERS[i]);
    return text;
}

/* The keyword whose value libpq refuses, without the value. "": libpq names none. */
static void find_keyword(const char *text, char keyword[static KEYWORD_MAX]) {
    static const char *const BEFORE[] = {"connection option \"", "invalid "};
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz_";
    keyword[0] = '\0';
    for (size_t i = 0; i < sizeof BEFORE / sizeof BEFORE[0] && keyword[0] == '\0'; i++) {
        const char *word = strstr(text, BEFORE[i]);
        if (word == NULL)
            continue;
        word += strlen(BEFORE[i]);
        const size_t length = strspn(word, LETTERS);
        const bool ends = word[length] == '"' || strncmp(word + length, " value: ", 8) == 0;
        if (ends && length < KEYWORD_MAX)
            snprintf(keyword, KEYWORD_MAX, "%.*s", (int) length, word);
    }
}

/* From the dsn, else libpq's default; quoted, in the check's arena. */
static const char *name_of(struct check *check, const char *dsn, const char *keyword) {
    PQconninfoOption *parsed = PQconninfoParse(dsn, NULL), *defaults = PQconndefaults();
    const PQconninfoOption *const both[] = {parsed, defaults};
    const char *name = NULL;
    for (size_t i = 0; i < 2 && name == NULL; i++)
        for (const PQconninfoOption *option = both[i]; option != NULL && option->keyword != NULL; option++)
            if (strcmp(option->keyword, keyword) == 0 && option->val != NULL && option->val[0] != '\0')
                name = check_name(check, NULL, option->val);
    PQconninfoFree(parsed);
    PQconninfoFree(defaults);
    return name;
}

/* Replaces ROLE and DATABASE in a fix by the dsn's names. */
static void fix_with_names(struct check *check, const char *fix, const char *dsn) {
    static const char *const WORDS[][2] = {{"ROLE", "user"}, {"DATABASE", "dbname"}};
    struct buffer text AUTO(buffer_release) = {.bytes_max = FIX_BYTES_MAX};
    while (*fix != '\0') {
        const char *name = NULL;
        size_t length = 1;
        for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0] && name == NULL; i++)
            if (strncmp(fix, WORDS[i][0], strlen(WORDS[i][0])) == 0) {
                name = name_of(check, dsn, WORDS[i][1]);
                if (name == NULL)
                    name = name_of(check, dsn, "user"); /* the default database has the user's name */
                length = strlen(WORDS[i][0]);
            }
        buffer_printf(&text, "%.*s", name != NULL ? (int) strlen(name) : (int) length,
                      name != NULL ? name : fix);
        fix += length;
    }
    const char *whole = buffer_text(&text);
    findings_fix(&check->findings, "%s", whole != NULL ? whole : "");
}

void check_add_unreachable(struct check *check, const struct error *error, const char *dsn,
                           bool replication) {
    char keyword[KEYWORD_MAX];
    const char *fix = find_remedy(error, replication);
    findings_add(&check->findings, SEVERITY_PROBLEM, replication ? "replication_connection" : "connection",
                 "%s%s", replication ? "no replication connection: " : "", without_peer(error->text));
    find_keyword(error->text, keyword);
    if (error->remedy[0] != '\0')
        findings_fix(&check->findings, "%s", error->remedy);
    else if (fix != NULL)
        fix_with_names(check, fix, dsn);
    else
        findings_fix(&check->findings, "correct %s%sthe dsn", keyword, keyword[0] != '\0' ? " in " : "");
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

/* Whether a password is in the file or was expanded from the environment is no longer known here. */
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
                 "%s is readable by every user of this machine, and it contains a password or another "
                 "secret",
                 config->path);
    findings_fix(&check->findings, "chmod o-rwx %s; or take the password from password_file or ${VARIABLE}",
                 shell_word_of_file(config->path).text);
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
    check_add_unreachable(check, &answer, check->config->source.dsn, false);
    return true;
}

/* Only a connection proves it: pg_hba.conf, the role's attribute, a pooler and free senders all decide. */
bool check_replication_connection(struct check *check, struct error *err) {
    struct error answer = {0};
    if (!source_open_replication(&check->replication, &check->config->source, check->stop, &answer)) {
        check_add_unreachable(check, &answer, check->config->source.dsn, true);
        return true;
    }
    check->has_identity = source_identify(&check->replication, &check->identity, err);
    return check->has_identity;
}
