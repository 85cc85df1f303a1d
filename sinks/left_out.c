/* SPDX-License-Identifier: Apache-2.0 */
/*
 * left_out.c - a few items, searched in their order.
 */
#include "sinks/left_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void left_out_init(struct left_out_list *list) {
    *list = (struct left_out_list){0};
    const int failed = pthread_mutex_init(&list->lock, NULL);
    assert(failed == 0);
    (void) failed;
}

void left_out_forget(struct left_out_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].table);
    list->count = 0;
}

void left_out_release(struct left_out_list *list) {
    left_out_forget(list);
    free(list->items);
    pthread_mutex_destroy(&list->lock);
    *list = (struct left_out_list){0};
}

struct left_out_list *left_out_new(void) {
    struct left_out_list *list = malloc(sizeof *list);
    if (list != NULL)
        left_out_init(list);
    return list;
}

void left_out_free(struct left_out_list *list) {
    if (list == NULL)
        return;
    left_out_release(list);
    free(list);
}

static struct left_out *find_item(const struct left_out_list *list, const char *rule, const char *table) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].table, table) == 0 && strcmp(list->items[i].rule, rule) == 0)
            return &list->items[i];
    return NULL;
}

static struct left_out *add_item(struct left_out_list *list, const char *rule, const char *table) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct left_out *items = reallocarray(list->items, capacity, sizeof *items);
        if (items == NULL)
            return NULL;
        list->items = items;
        list->capacity = capacity;
    }
    char *name = strdup(table);
    if (name == NULL)
        return NULL;
    list->items[list->count] = (struct left_out){.rule = rule, .table = name};
    return &list->items[list->count++];
}

bool left_out_add(struct left_out_list *list, const char *rule, const char *table, uint64_t changes,
                  uint64_t copied, struct error *err) {
    struct left_out *item = find_item(list, rule, table);
    if (item == NULL)
        item = add_item(list, rule, table);
    if (item == NULL)
        return error_no_memory(err);
    item->changes += changes;
    item->copied += copied;
    return true;
}

bool left_out_move(struct left_out_list *from, struct left_out_list *to, struct error *err) {
    bool moved = true;
    if (from->count == 0)
        return true;
    if (to != NULL) {
        pthread_mutex_lock(&to->lock);
        for (size_t i = 0; i < from->count; i++)
            moved = moved && left_out_add(to, from->items[i].rule, from->items[i].table,
                                          from->items[i].changes, from->items[i].copied, err);
        pthread_mutex_unlock(&to->lock);
    }
    left_out_forget(from);
    return moved;
}

bool left_out_at(struct left_out_list *list, size_t i, struct left_out *ret_item) {
    pthread_mutex_lock(&list->lock);
    const bool exists = i < list->count;
    if (exists)
        *ret_item = list->items[i];
    pthread_mutex_unlock(&list->lock);
    return exists;
}
