#include "eddy_error.h"

#include <stdarg.h>
#include <stdio.h>

static void error_write(struct eddy_error *err, eddy_status code, const char *reason, const char *format,
                        va_list args)
{
    if (!err) return;
    err->code = code;
    err->reason = reason;
    (void)vsnprintf(err->message, sizeof(err->message), format, args);
}

eddy_status eddy_fail(struct eddy_error *err, eddy_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_write(err, code, "", format, args);
    va_end(args);
    return code;
}

eddy_status eddy_fail_record(struct eddy_error *err, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_write(err, EDDY_EDATA, reason, format, args);
    va_end(args);
    return EDDY_EDATA;
}

const char *eddy_status_text(eddy_status code)
{
    switch (code) {
    case EDDY_ENOMEM: return "out of memory";
    case EDDY_EINVAL: return "invalid argument";
    case EDDY_ECONFIG: return "bad configuration";
    case EDDY_EIO: return "input/output error";
    case EDDY_EFULL: return "no room left";
    case EDDY_EAGAIN: return "try again";
    case EDDY_EDATA: return "bad record";
    case EDDY_ECORRUPT: return "corrupt state";
    case EDDY_EVERSION: return "unknown state version";
    case EDDY_EMISMATCH: return "state of another configuration";
    case EDDY_ENOTFOUND: return "not found";
    case EDDY_EBUSY: return "in use";
    case EDDY_ELIMIT: return "over a limit";
    case EDDY_EUNSUPPORTED: return "not supported";
    default: return code >= 0 ? "ok" : "unknown error";
    }
}
