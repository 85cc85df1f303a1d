/* SPDX-License-Identifier: Apache-2.0 */
#include "cdc/pq/refusal.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error parsed(const char *message) {
    struct error err = {0};
    cr_assert_not(refusal_parse(message, "source", &err));
    return err;
}

#define AT "connection to server at \"db\" (10.0.0.1), port 5432 failed: "

Test(refusal, a_wrong_password_is_for_the_operator_in_every_language) {
    struct error err = parsed(AT "FATAL:  28P01: Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen\n"
                                 "LOCATION:  auth_failed, auth.c:341\n");
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_str_eq(err.sqlstate, "28P01");
    cr_assert_str_eq(err.place, "auth_failed");
    cr_assert_str_eq(err.text,
                     "source: " AT
                     "FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen (SQLSTATE 28P01)");
}

Test(refusal, what_passes_by_itself_is_tried_again) {
    static const char *const MESSAGES[] = {
        AT "FATAL:  53300: tut mir leid, schon zu viele Verbindungen\nLOCATION:  InitProcess, proc.c:358\n",
        AT "FATAL:  53200: out of memory\nDETAIL:  Failed on request of size 8192.\n",
        AT "FATAL:  57P03: das Datenbanksystem startet\n",
        AT "FATAL:  08P01: no more connections allowed\n",
        AT "FATAL:  XX000: something that nobody has seen\n",
        AT "SCHWERWIEGEND:  53300: zu viele\n",
        AT "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n",
        AT "server closed the connection unexpectedly\n",
        AT "SSL SYSCALL error: EOF detected\n",
        "",
    };
    for (size_t i = 0; i < sizeof MESSAGES / sizeof MESSAGES[0]; i++)
        cr_assert_eq(parsed(MESSAGES[i]).kind, ERROR_RETRY, "%s", MESSAGES[i]);
}

Test(refusal, the_last_of_two_refusals_counts) {
    struct error err = parsed(
        AT
        "FATAL:  28000: no pg_hba.conf entry, SSL encryption\nLOCATION:  ClientAuthentication, auth.c:5\n" AT
        "FATAL:  53300: too many clients\nLOCATION:  InitProcess, proc.c:358\n");
    cr_assert_eq(err.kind, ERROR_RETRY);
    cr_assert_str_eq(err.sqlstate, "53300");
    cr_assert_str_eq(err.place, "InitProcess");
}

Test(refusal, what_libpq_says_by_itself_is_judged_by_its_words) {
    cr_assert_eq(parsed("root certificate file \"/x\" does not exist").kind, ERROR_CONFIG);
    cr_assert_eq(parsed(AT "SSL error: certificate verify failed").kind, ERROR_CONFIG);
    cr_assert_eq(parsed("invalid port number: \"99999\"").kind, ERROR_CONFIG);
    cr_assert_eq(parsed(AT "fe_sendauth: no password supplied").kind, ERROR_CONFIG);
}

Test(refusal, two_sentences_have_a_stop_between_them) {
    cr_assert_str_eq(
        parsed("root certificate file \"/x\" does not exist\nEither provide the file or change sslmode.\n")
            .text,
        "source: root certificate file \"/x\" does not exist. Either provide the file or change sslmode.");
    cr_assert_str_eq(parsed(AT "Connection refused\n\tIs the server running?\n").text,
                     "source: " AT "Connection refused. Is the server running?");
}

Test(refusal, a_text_without_an_end_is_cut) {
    static char message[1 << 20];
    memset(message, 'x', sizeof message - 1);
    struct error err = parsed(message);
    cr_assert_eq(err.kind, ERROR_RETRY);
    cr_assert_lt(strlen(err.text), sizeof err.text);
}
