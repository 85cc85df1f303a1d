/* SPDX-License-Identifier: Apache-2.0 */
/*
 * databases.c - starts the processes, passes a stop on, and says how each ended.
 *
 * A stop is passed on as SIGALRM, which asks for an orderly end however often it comes: the children may have
 * got the first signal themselves, from a terminal or a supervisor, and a second one would end them at once.
 */
#include "cdc/databases.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/json_text.h"
#include "cdc/base/log.h"
#include "cdc/base/shell_word.h"
#include "cdc/base/visible.h"

enum {
    STEP_MS = 50,
    RESTART_MS = 60000,
    READ_BYTES = 65536,
};

#define OUTPUT_BYTES_MAX ((size_t) 1 << 30)

enum child_state { CHILD_WAITING, CHILD_WORKING, CHILD_FOLLOWING, CHILD_ENDED };

struct child {
    const struct config_database *database;
    enum child_state state;
    pid_t pid;
    int following_fd; /* a byte comes when it only follows; -1: closed */
    int output_fd;    /* its standard output, when it is gathered; -1: closed */
    struct buffer output;
    enum exit_code code;
    int64_t ended_ms;
};

struct children {
    const struct command *command;
    const struct command_line *line;
    struct child *items; /* of each database of the file */
    size_t count;
    bool is_stopped; /* the children know */
};

/* ---- in the child ---- */

static bool child_become(struct command_line *line, const struct config_database *database,
                         struct error *err) {
    return config_choose_database(line->config, database, err) &&
           (!line->is_reverse || config_reverse(line->config, err));
}

static _Noreturn void child_main(const struct children *children, const struct child *child, int following_fd,
                                 int output_fd) {
    struct command_line line = *children->line;
    struct error err = {0};
    enum exit_code code = EXIT_USAGE;
    line.database = child->database->source;
    line.following_fd = following_fd;
    if (output_fd >= 0)
        dup2(output_fd, STDOUT_FILENO);
    if (child_become(&line, child->database, &err)) {
        log_begin(line.config->name);
        code = children->command->run(&line);
    } else {
        log_command_failure(NULL, &err);
    }
    log_end();
    const bool is_lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    _exit(is_lost && code == EXIT_DONE ? EXIT_FAILED : code);
}

/* ---- a child ---- */

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool open_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

/* A child whose parent died before it could ask for the signal ends too. */
static void end_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
}

static bool child_start(struct children *children, struct child *child) {
    int following[2] = {-1, -1}, output[2] = {-1, -1};
    const pid_t parent = getpid();
    fflush(stdout);
    child->output.size = 0;
    child->pid = -1;
    if (open_pipe(following) && (!children->line->json || open_pipe(output)))
        child->pid = fork();
    if (child->pid == 0) {
        end_with(parent);
        child_main(children, child, following[1], output[1]);
    }
    if (child->pid < 0)
        log_line(LOG_DATABASE_NOT_STARTED, "a process for database %s: %s", child->database->source,
                 strerror(errno));
    close_end(&following[1]);
    close_end(&output[1]);
    child->following_fd = following[0];
    child->output_fd = output[0];
    child->state = child->pid > 0 ? CHILD_WORKING : CHILD_ENDED;
    child->code = child->pid > 0 ? EXIT_DONE : EXIT_FAILED;
    return child->pid > 0;
}

static void read_output(struct child *child) {
    char bytes[READ_BYTES];
    ssize_t size = 0;
    while (child->output_fd >= 0 && (size = read(child->output_fd, bytes, sizeof bytes)) > 0)
        buffer_append(&child->output, bytes, (size_t) size);
}

static void read_following(struct child *child) {
    char byte = 0;
    if (child->state == CHILD_WORKING && child->following_fd >= 0 && read(child->following_fd, &byte, 1) == 1)
        child->state = CHILD_FOLLOWING;
}

/* Has it ended? */
static void child_look(struct child *child) {
    int status = 0;
    read_output(child);
    read_following(child);
    if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
        return;
    read_output(child);
    close_end(&child->output_fd);
    close_end(&child->following_fd);
    child->code = WIFEXITED(status) ? (enum exit_code) WEXITSTATUS(status) : EXIT_FAILED;
    if (WIFSIGNALED(status))
        log_line(LOG_DATABASE_KILLED, "the process of database %s was ended by signal %d",
                 child->database->source, WTERMSIG(status));
    child->state = CHILD_ENDED;
    child->ended_ms = clock_now_ms();
    child->pid = 0;
}

static bool child_runs(const struct child *child) {
    return child->state == CHILD_WORKING || child->state == CHILD_FOLLOWING;
}

/* ---- all of them ---- */

static bool is_stopped(const struct children *children) {
    return atomic_load(children->line->stop);
}

static void stop_all(struct children *children) {
    for (size_t i = 0; i < children->count; i++)
        if (children->items[i].pid > 0)
            kill(children->items[i].pid, SIGALRM);
    children->is_stopped = true;
}

/* Waits a little, or until one has written something. */
static void pause_children(const struct children *children) {
    struct pollfd fds[64];
    nfds_t count = 0;
    for (size_t i = 0; i < children->count && count < sizeof fds / sizeof *fds; i++)
        if (children->items[i].output_fd >= 0)
            fds[count++] = (struct pollfd){.fd = children->items[i].output_fd, .events = POLLIN};
    poll(fds, count, STEP_MS);
}

static void look_at_all(struct children *children) {
    if (is_stopped(children) && !children->is_stopped)
        stop_all(children);
    pause_children(children);
    for (size_t i = 0; i < children->count; i++)
        child_look(&children->items[i]);
}

static size_t count_children(const struct children *children) {
    size_t count = 0;
    for (size_t i = 0; i < children->count; i++)
        count += child_runs(&children->items[i]);
    return count;
}

static void end_children(struct children *children) {
    if (count_children(children) > 0)
        stop_all(children);
    while (count_children(children) > 0)
        look_at_all(children);
}

static const struct child *find_failed(const struct children *children) {
    for (size_t i = 0; i < children->count; i++)
        if (children->items[i].state == CHILD_ENDED && children->items[i].code != EXIT_DONE)
            return &children->items[i];
    return NULL;
}

/* ---- the ways ---- */

static void print_head(const struct children *children, const struct child *child) {
    if (children->line->json)
        return;
    printf("%sdatabase ", child == children->items ? "" : "\n");
    visible_print(stdout, slice_of(child->database->source));
    printf(", pipeline %s\n", child->database->name);
}

static void run_each(struct children *children) {
    for (size_t i = 0; i < children->count && !is_stopped(children); i++) {
        print_head(children, &children->items[i]);
        if (!child_start(children, &children->items[i]))
            continue;
        while (child_runs(&children->items[i]))
            look_at_all(children);
    }
}

/* One that follows goes on while the next ones are worked on, unless one of them cannot go on. */
static void run_in_order(struct children *children) {
    for (size_t i = 0; i < children->count && !is_stopped(children) && find_failed(children) == NULL; i++) {
        struct child *child = &children->items[i];
        FAULT_POINT("databases-next");
        log_line(LOG_DATABASE_STARTED, "%s: database %zu of %zu, %s, as pipeline %s", children->command->name,
                 i + 1, children->count, child->database->source, child->database->name);
        if (!child_start(children, child))
            break;
        while (child->state == CHILD_WORKING && find_failed(children) == NULL)
            look_at_all(children);
    }
    while (count_children(children) > 0 && find_failed(children) == NULL)
        look_at_all(children);
}

static bool has_end(const struct command_line *line) {
    return line->until_caught_up || line->until_lsn != 0 || line->timeout_ms != 0;
}

static void start_again(struct children *children) {
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->items[i];
        if (child->state == CHILD_ENDED && child->code != EXIT_DONE &&
            clock_now_ms() - child->ended_ms >= FAULT_INTERVAL_MS(RESTART_MS))
            child_start(children, child);
    }
}

static void say_ended(const struct children *children, size_t before) {
    const struct child *failed = find_failed(children);
    if (failed != NULL && count_children(children) < before && count_children(children) > 0)
        log_line(LOG_DATABASE_FAILED, "database %s: exit code %d; %s", failed->database->source, failed->code,
                 has_end(children->line) ? "the others go on"
                                         : "the others go on, and it is tried again in 60 s");
}

/* As with a buffer: one that fails is tried again while others run. */
static void run_at_once(struct children *children) {
    for (size_t i = 0; i < children->count; i++)
        child_start(children, &children->items[i]);
    for (size_t before; (before = count_children(children)) > 0;) {
        look_at_all(children);
        say_ended(children, before);
        if (!has_end(children->line) && !is_stopped(children) && count_children(children) > 0)
            start_again(children);
    }
}

/* ---- what is said ---- */

static const char *state_of(const struct child *child) {
    return child->state == CHILD_WAITING ? "not begun"
           : child->code == EXIT_DONE    ? "done, or stopped in order"
                                         : "cannot go on; its own lines say why";
}

static void say_states(const struct children *children) {
    for (size_t i = 0; i < children->count; i++) {
        const struct child *child = &children->items[i];
        log_line(child->code == EXIT_DONE ? LOG_DATABASE_ENDED : LOG_DATABASE_FAILED,
                 "%s: database %s: %s (exit code %d)", children->command->name, child->database->source,
                 state_of(child), child->code);
    }
}

static void print_name(const char *key, const char *name) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = READ_BYTES};
    const bool is_text = json_append_string(&text, slice_of(name)) && buffer_text(&text) != NULL;
    printf("\"%s\":%s,", key, is_text ? text.data : "null");
}

/* {"pipeline": …, "databases": [{"database": …, "pipeline": …, "exit_code": …, "result": …}, …]} */
static void print_gathered(struct children *children) {
    printf("{");
    print_name("pipeline", children->line->config->name);
    printf("\"databases\":[");
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->items[i];
        const char *text = child->output.size > 0 ? buffer_text(&child->output) : NULL;
        printf("%s{", i > 0 ? "," : "");
        print_name("database", child->database->source);
        print_name("pipeline", child->database->name);
        printf("\"exit_code\":%d,\"result\":%.*s}", child->code, text != NULL ? (int) strcspn(text, "\n") : 4,
               text != NULL ? text : "null");
    }
    printf("]}\n");
}

/* ---- the command ---- */

static enum exit_code databases_refuse(const struct command *command, const struct config *config,
                                       const char *why) {
    log_command(LOG_USAGE, command->name, "%s has %s, and %s; name one: --database %s", config->path,
                amount_count(config->migrate.database_count, "database").text, why,
                shell_word(config->migrate.databases[0].source).text);
    return EXIT_USAGE;
}

static enum exit_code judge_children(struct children *children) {
    const struct child *failed = find_failed(children);
    if (children->command->many != MANY_EACH && failed != NULL)
        say_states(children);
    if (children->line->json)
        print_gathered(children);
    if (failed != NULL)
        return failed->code;
    const bool is_whole = children->items[children->count - 1].state != CHILD_WAITING;
    if (is_whole || (children->command->many == MANY_IN_ORDER && children->line->until_phase == NULL))
        return EXIT_DONE;
    return children->line->until_phase != NULL ? EXIT_SHORT : EXIT_FAILED; /* it was stopped */
}

static enum exit_code run_children(struct children *children) {
    /* It can be made already, and then the pipelines' own directories say what is wrong with it. */
    (void) mkdir(children->line->config->state, 0750);
    if (children->command->many == MANY_EACH)
        run_each(children);
    else if (children->command->many == MANY_IN_ORDER)
        run_in_order(children);
    else
        run_at_once(children);
    end_children(children);
    const enum exit_code code = judge_children(children);
    for (size_t i = 0; i < children->count; i++)
        buffer_release(&children->items[i].output);
    return code;
}

enum exit_code databases_run(const struct command *command, const struct command_line *line) {
    const struct config *config = line->config;
    struct children children = {.command = command, .line = line, .count = config->migrate.database_count};
    if (command->many == MANY_ITSELF)
        return command->run(line);
    if (command->many == MANY_REFUSED)
        return databases_refuse(command, config, "this command is for one of them");
    if (line->html_path != NULL || line->prints_fdw || line->sql_side != NULL)
        return databases_refuse(command, config, "--html, --fdw and --sql are for one of them");
    children.items = calloc(children.count, sizeof *children.items);
    if (children.items == NULL)
        return EXIT_FAILED;
    for (size_t i = 0; i < children.count; i++)
        children.items[i] = (struct child){.database = &config->migrate.databases[i],
                                           .following_fd = -1,
                                           .output_fd = -1,
                                           .output = {.bytes_max = OUTPUT_BYTES_MAX}};
    const enum exit_code code = run_children(&children);
    free(children.items);
    return code;
}
