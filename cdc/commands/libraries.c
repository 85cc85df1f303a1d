/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libraries.c - each library's version: pkg-config's when the program was built, its own when it runs.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "cdc/commands/libraries.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <openssl/crypto.h>
#include <pcre2.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include <yajl/yajl_version.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "cdc/commands/built.h"
#include "cdc/http/server.h"

/* The part before a space: PCRE2 appends its date. */
static void put_version(char text[LIBRARY_VERSION_MAX], const char *version) {
    snprintf(text, LIBRARY_VERSION_MAX, "%.*s", (int) strcspn(version, " "), version);
}

static void put_libpq(char text[LIBRARY_VERSION_MAX]) {
    snprintf(text, LIBRARY_VERSION_MAX, "%d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
}

static void put_librdkafka(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, rd_kafka_version_str());
}

static void put_libzstd(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, ZSTD_versionString());
}

static void put_zlib(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, zlibVersion());
}

static void put_openssl(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, OpenSSL_version(OPENSSL_VERSION_STRING));
}

static void put_protobuf_c(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, protobuf_c_version());
}

static void put_microhttpd(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, server_library_version());
}

static void put_pcre2(char text[LIBRARY_VERSION_MAX]) {
    char version[LIBRARY_VERSION_MAX] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, version);
    put_version(text, version);
}

static void put_yajl(char text[LIBRARY_VERSION_MAX]) {
    const int version = yajl_version();
    snprintf(text, LIBRARY_VERSION_MAX, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

static void put_libyaml(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, yaml_get_version_string());
}

static void put_utf8proc(char text[LIBRARY_VERSION_MAX]) {
    put_version(text, utf8proc_version());
}

static const struct library LIBRARIES[] = {
    {"libpq", BUILT_LIBPQ, put_libpq},
    {"librdkafka", BUILT_LIBRDKAFKA, put_librdkafka},
    {"libzstd", BUILT_LIBZSTD, put_libzstd},
    {"zlib", BUILT_ZLIB, put_zlib},
    {"openssl", BUILT_OPENSSL, put_openssl},
    {"protobuf-c", BUILT_PROTOBUF_C, put_protobuf_c},
    {"libmicrohttpd", BUILT_MICROHTTPD, put_microhttpd},
    {"pcre2", BUILT_PCRE2, put_pcre2},
    {"yajl", BUILT_YAJL, put_yajl},
    {"libyaml", BUILT_LIBYAML, put_libyaml},
    {"utf8proc", BUILT_UTF8PROC, put_utf8proc},
};

const struct library *library_at(size_t index) {
    return index < sizeof LIBRARIES / sizeof LIBRARIES[0] ? &LIBRARIES[index] : NULL;
}
