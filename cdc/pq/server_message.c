/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_message.c - which messages contain no value, and the words that replace the others.
 */
#include "cdc/pq/server_message.h"

#include <stdio.h>
#include <string.h>

/* ---- what stands for a message ---- */

struct condition {
    const char *sqlstate; /* five characters, or a class of two */
    const char *name;
};

/* The first match counts, so a class comes after its members. */
static const struct condition CONDITIONS[] = {
    {"22000", "data exception"},
    {"22001", "a string is too long for the type"},
    {"22003", "a number is out of range for the type"},
    {"22004", "a null value is not allowed here"},
    {"22007", "a date or time that the type does not accept"},
    {"22008", "a date or time is out of range"},
    {"22009", "a time zone displacement that is not valid"},
    {"2200L", "not an XML document"},
    {"2200M", "not a valid XML document"},
    {"2200N", "not valid XML content"},
    {"22012", "division by zero"},
    {"22015", "an interval field is out of range"},
    {"22021", "bytes that are no character in the encoding"},
    {"22023", "a parameter value that is not valid"},
    {"2202E", "an array subscript error"},
    {"22026", "a string of the wrong length"},
    {"22030", "a JSON object has a key twice"},
    {"22032", "text that is not valid JSON"},
    {"22P01", "a floating point exception"},
    {"22P02", "a value that the type does not accept"},
    {"22P03", "a binary value that the type does not accept"},
    {"22P04", "the data of COPY have another format than the table"},
    {"22P05", "a character that the encoding of the database does not have"},
    {"22", "data exception"},
    {"23502", "a null value where the column is NOT NULL"},
    {"23503", "a foreign key is violated"},
    {"23505", "a unique constraint is violated"},
    {"23514", "a check constraint is violated"},
    {"23P01", "an exclusion constraint is violated"},
    {"23", "an integrity constraint is violated"},
    {"40001", "could not serialize access"},
    {"40P01", "deadlock detected"},
    {"42501", "permission denied"},
    {"42601", "syntax error"},
    {"42703", "a column that does not exist"},
    {"42883", "a function that does not exist"},
    {"42P01", "a table that does not exist"},
    {"42", "a name, a type or a right is not as the statement needs it"},
    {"53100", "disk full"},
    {"53200", "out of memory"},
    {"53", "the server lacks resources"},
    {"54001", "the stack depth limit is exceeded"},
    {"54", "a limit of the server is exceeded"},
    {"55P03", "a lock was not available in time"},
    {"57014", "the statement was cancelled"},
    {"P0001", "an exception was raised"},
    {"P0002", "a query returned no row"},
    {"P0003", "a query returned more than one row"},
    {"P0004", "an assertion failed"},
};

static const char *condition_name(const char *sqlstate) {
    for (size_t i = 0; i < sizeof CONDITIONS / sizeof CONDITIONS[0]; i++)
        if (strncmp(CONDITIONS[i].sqlstate, sqlstate, strlen(CONDITIONS[i].sqlstate)) == 0)
            return CONDITIONS[i].name;
    return "an error whose text is not shown";
}

/* ---- which messages may be shown ---- */

/*
 * The functions of PL/pgSQL, PL/Perl, PL/Python and PL/Tcl that report an error raised by a user's program.
 */
bool server_message_is_raised(const PGresult *result) {
    static const char *const RAISERS[] = {"exec_stmt_raise", "exec_stmt_assert", "PLy_",
                                          "croak_cstr",      "plperl_",          "throw_tcl_error"};
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    for (size_t i = 0; function != NULL && i < sizeof RAISERS / sizeof RAISERS[0]; i++)
        if (strncmp(function, RAISERS[i], strlen(RAISERS[i])) == 0)
            return true;
    return false;
}

/*
 * A context shows that a function or a trigger was running, whose statements may contain values. COPY has a
 * context too; its first word is not translated.
 */
static bool comes_from_a_function(const PGresult *result) {
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    return PQresultErrorField(result, PG_DIAG_INTERNAL_QUERY) != NULL ||
           (context != NULL && strncmp(context, "COPY ", strlen("COPY ")) != 0);
}

/* Classes whose messages contain only names and limits. */
static bool names_objects_only(const char *sqlstate) {
    static const char CLASSES[] = "00 01 08 0A 23 25 26 28 2B 34 3B 3D 3F 40 42 44 53 54 55 57 58 F0 XX";
    for (const char *class = CLASSES; class[0] != '\0'; class += class[2] == '\0' ? 2 : 3)
        if (strncmp(class, sqlstate, 2) == 0)
            return true;
    return false;
}

/* ---- messages of data exceptions, as far as they hold no value ---- */

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *last_of(const char *text, const char *phrase) {
    const char *found = NULL;
    for (const char *next = strstr(text, phrase); next != NULL; next = strstr(next + 1, phrase))
        found = next;
    return found;
}

/*
 * In English the message names the type, encoding or enum before the colon, and the value after it. From a
 * server in another language only the name of the condition is shown.
 */
static size_t safe_length(const char *message) {
    static const char *const BEFORE_THE_COLON[] = {"invalid input syntax for type ",
                                                   "invalid input value for enum ",
                                                   "invalid byte sequence for encoding ",
                                                   "malformed array literal",
                                                   "malformed record literal",
                                                   "malformed range literal"};
    static const char *const WHOLE[] = {"value too long for type ", "numeric field overflow",
                                        "division by zero", "null value not allowed for "};
    for (size_t i = 0; i < sizeof BEFORE_THE_COLON / sizeof BEFORE_THE_COLON[0]; i++)
        if (starts_with(message, BEFORE_THE_COLON[i]))
            return strcspn(message, ":");
    for (size_t i = 0; i < sizeof WHOLE / sizeof WHOLE[0]; i++)
        if (starts_with(message, WHOLE[i]))
            return strlen(message);
    return 0;
}

static void write_data_exception(const char *message, const char *sqlstate, char *text, size_t size) {
    const char *range = last_of(message, " is out of range for type ");
    size_t length = safe_length(message);
    if (length > 0)
        snprintf(text, size, "%.*s", (int) (length < size ? length : size), message);
    else if (message[0] == 'v' && range != NULL)
        snprintf(text, size, "a value%s", range);
    else
        snprintf(text, size, "%s", condition_name(sqlstate));
}

void server_message_write(const PGresult *result, const char *sqlstate, char *text, size_t size) {
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const bool is_shown_whole = names_objects_only(sqlstate);
    if (message == NULL)
        snprintf(text, size, "%s", condition_name(sqlstate));
    else if (server_message_is_raised(result) || (is_shown_whole && comes_from_a_function(result)))
        snprintf(text, size, "%s, in a function or trigger of the server, whose text is not shown",
                 condition_name(sqlstate));
    else if (is_shown_whole)
        snprintf(text, size, "%s", message);
    else
        write_data_exception(message, sqlstate, text, size);
}
