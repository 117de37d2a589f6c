/* SoftHSM counts no wrong PINs. This module stands before it and does as a smart card does: after three wrong
 * ones in a row the token is locked, for the right one too. The count is kept in the file $LOCKING_COUNT, as a
 * card keeps it through the end of a program.
 *
 * PKCS #11 2.40: C_GetFunctionList gives a structure whose first member is a version, followed by pointers in the
 * order of pkcs11f.h. C_GetTokenInfo is the 7th, C_Login the 19th. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;
typedef struct { unsigned char version[2]; void *calls[68]; } functions;
/* The beginning of CK_TOKEN_INFO: label, manufacturer, model, serial number. */
typedef struct { char names[32 + 32 + 16 + 16]; ulong flags; } token_info;

enum { GET_TOKEN_INFO = 6, LOGIN = 18, TRIES = 3 };
enum { OK = 0x00, GENERAL_ERROR = 0x05, PIN_INCORRECT = 0xa0, PIN_LOCKED = 0xa4 };
enum { COUNT_LOW = 0x10000, FINAL_TRY = 0x20000, LOCKED = 0x40000 };

static functions before;
static const functions *behind;

static int wrong(void) {
    int count = 0;
    FILE *file = fopen(getenv("LOCKING_COUNT"), "r");
    if (file && fscanf(file, "%d", &count) != 1) count = 0;
    if (file) fclose(file);
    return count;
}

static void set_wrong(int count) {
    FILE *file = fopen(getenv("LOCKING_COUNT"), "w");
    if (!file) abort();
    fprintf(file, "%d", count);
    fclose(file);
}

static ulong get_token_info(ulong slot, token_info *info) {
    ulong (*real)(ulong, token_info *) = behind->calls[GET_TOKEN_INFO];
    ulong answer = real(slot, info);
    if (answer == OK && info) {
        int count = wrong();
        if (count > 0) info->flags |= COUNT_LOW;
        if (count == TRIES - 1) info->flags |= FINAL_TRY;
        if (count >= TRIES && !getenv("LOCKING_UNSAID")) info->flags |= LOCKED;
    }
    return answer;
}

static ulong login(ulong session, ulong user, const char *pin, ulong length) {
    ulong (*real)(ulong, ulong, const char *, ulong) = behind->calls[LOGIN];
    if (wrong() >= TRIES) return PIN_LOCKED;
    ulong answer = real(session, user, pin, length);
    if (answer == PIN_INCORRECT) set_wrong(wrong() + 1);
    if (answer == OK) set_wrong(0);
    return answer;
}

ulong C_GetFunctionList(functions **list) {
    void *module = dlopen(getenv("LOCKING_MODULE"), RTLD_NOW | RTLD_LOCAL);
    ulong (*real)(const functions **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
    if (!real || !getenv("LOCKING_COUNT") || real(&behind) != OK) return GENERAL_ERROR;
    before = *behind;
    before.calls[GET_TOKEN_INFO] = get_token_info;
    before.calls[LOGIN] = login;
    *list = &before;
    return OK;
}
