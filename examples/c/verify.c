// Verifies an image, and says so by its exit code: 0 trusted, 1 refused, 2 a wrong call, 3 could not tell.
// The report is printed as JSON.
//
//   verify registry NAME OPTIONS ROOT
//       asks the registry in NAME, and the trust repository in OPTIONS: '{"repo": "https://trust.example.com"}'
//   verify bytes NAME OPTIONS ROOT MANIFEST DIR
//       asks nobody: MANIFEST is a file with the image's manifest or index, and DIR a folder with the files of the
//       trust repository. OPTIONS says the time: '{"at": "2026-01-31T12:00:00Z"}'
//
//   cc verify.c -Ihallmark-ffi/include -Ltarget/release -lhallmark -o verify
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hallmark.h"

enum { MOST_DOCUMENTS = 256, MOST_BYTES = 64 * 1024 * 1024 };

static void fail(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    exit(HALLMARK_VERDICT_BAD_CALL);
}

// A whole file; the caller frees it.
static uint8_t *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    struct stat stat;
    if (file == NULL || fstat(fileno(file), &stat) != 0 || stat.st_size > MOST_BYTES) fail(path);
    // One byte more, so that an empty file isn't a null pointer.
    uint8_t *data = malloc((size_t)stat.st_size + 1);
    if (data == NULL) fail("out of memory");
    *len = fread(data, 1, (size_t)stat.st_size, file);
    if (ferror(file) || fclose(file) != 0) fail(path);
    return data;
}

// Every file of a folder whose name ends in .json.
static size_t read_folder(const char *path, hallmark_document *documents) {
    size_t count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) fail(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".json") != 0) continue;
        if (count == MOST_DOCUMENTS) fail("too many documents");
        char full[4096];
        if ((size_t)snprintf(full, sizeof full, "%s/%s", path, entry->d_name) >= sizeof full) fail(path);
        hallmark_document *document = &documents[count++];
        document->name = strdup(entry->d_name);
        document->data = read_file(full, &document->len);
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv) {
    int bytes = argc == 7 && strcmp(argv[1], "bytes") == 0;
    if (!bytes && (argc != 5 || strcmp(argv[1], "registry") != 0)) {
        fail("expected registry NAME OPTIONS ROOT, or bytes NAME OPTIONS ROOT MANIFEST DIR");
    }
    const char *name = argv[2], *options = argv[3];
    size_t root_len;
    uint8_t *root = read_file(argv[4], &root_len);
    char *report;
    hallmark_verdict verdict;
    if (bytes) {
        static hallmark_document documents[MOST_DOCUMENTS];
        size_t manifest_len, count = read_folder(argv[6], documents);
        uint8_t *manifest = read_file(argv[5], &manifest_len);
        verdict = hallmark_verify_bytes(name, options, root, root_len, manifest, manifest_len, documents, count, &report);
        free(manifest);
        while (count-- > 0) {
            free((void *)documents[count].name);
            free((void *)documents[count].data);
        }
    } else {
        verdict = hallmark_verify_registry(name, options, root, root_len, &report);
    }
    puts(report);
    hallmark_string_free(report);
    free(root);
    return (int)verdict;
}
