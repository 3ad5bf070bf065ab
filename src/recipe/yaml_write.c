/* yaml_write.c - JSON values as YAML that reads back as the same values, in YAML 1.1 readers too. */
#include <ctype.h>
#include <string.h>

#include "base/utf8.h"
#include "recipe/yaml.h"

/* True for text that can stand without quotes anywhere, flow style included, and cannot be taken for anything but text. */
static bool is_plain(const char *s, size_t n) {
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", NULL};
    if (n == 0 || n > 120 || !(isalpha((unsigned char)*s) || *s == '/' || (*s == '.' && n > 1 && (s[1] == '/' || s[1] == '.')))) return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("_-./+", s[i])) return false;
    for (const char *const *w = words; *w; w++)
        if (strlen(*w) == n && strncasecmp(*w, s, n) == 0) return false;
    return true;
}

/* Double-quoted, escaping what some YAML reader would not take as it is. */
static void write_quoted(sv_buf *b, const char *s, size_t n) {
    sv_buf_putc(b, '"');
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        int size = sv_utf8_decode(s + i, n - i, &cp);
        if (size == 0) size = 1, cp = 0xFFFD;
        if (cp == '"' || cp == '\\') sv_buf_printf(b, "\\%c", (char)cp);
        else if (cp == '\n') sv_buf_puts(b, "\\n");
        else if (cp == '\t') sv_buf_puts(b, "\\t");
        else if (cp < 0x20 || (cp >= 0x7F && cp <= 0xA0) || cp == 0x2028 || cp == 0x2029 || cp == 0xFEFF || cp == 0xFFFE || cp == 0xFFFF)
            sv_buf_printf(b, "\\u%04X", (unsigned)cp);
        else sv_buf_add(b, s + i, (size_t)size);
        i += (size_t)size;
    }
    sv_buf_putc(b, '"');
}

static void write_text(sv_buf *b, yyjson_val *v) {
    const char *s = yyjson_get_str(v);
    size_t n = yyjson_get_len(v);
    if (is_plain(s, n)) sv_buf_add(b, s, n);
    else write_quoted(b, s, n);
}

static void write_scalar(sv_buf *b, yyjson_val *v) {
    char number[32];
    if (yyjson_is_null(v)) sv_buf_puts(b, "null");
    else if (yyjson_is_bool(v)) sv_buf_puts(b, yyjson_get_bool(v) ? "true" : "false");
    else if (yyjson_is_sint(v)) sv_buf_printf(b, "%lld", (long long)yyjson_get_sint(v));
    else if (yyjson_is_uint(v)) sv_buf_printf(b, "%llu", (unsigned long long)yyjson_get_uint(v));
    else if (yyjson_is_real(v)) {
        sv_buf_puts(b, sv_real_text(yyjson_get_real(v), number));   /* 5.0 is written as 5: the same setting */
    } else write_text(b, v);
}

void sv_yaml_write_flow(sv_buf *b, yyjson_val *v) {
    size_t i, n;
    yyjson_val *key, *value;
    if (yyjson_is_arr(v)) {
        sv_buf_putc(b, '[');
        yyjson_arr_foreach(v, i, n, value) {
            if (i) sv_buf_puts(b, ", ");
            sv_yaml_write_flow(b, value);
        }
        sv_buf_putc(b, ']');
    } else if (yyjson_is_obj(v)) {
        sv_buf_putc(b, '{');
        yyjson_obj_foreach(v, i, n, key, value) {
            if (i) sv_buf_puts(b, ", ");
            write_text(b, key);
            sv_buf_puts(b, ": ");
            sv_yaml_write_flow(b, value);
        }
        sv_buf_putc(b, '}');
    } else {
        write_scalar(b, v);
    }
}

static void indent_by(sv_buf *b, int indent) {
    for (int i = 0; i < indent; i++) sv_buf_putc(b, ' ');
}

void sv_yaml_write(sv_buf *b, yyjson_val *v, int indent) {
    size_t i, n;
    yyjson_val *key, *value;
    if (yyjson_is_obj(v) && yyjson_obj_size(v)) {
        yyjson_obj_foreach(v, i, n, key, value) {
            bool nested = (yyjson_is_obj(value) && yyjson_obj_size(value))
                || (yyjson_is_arr(value) && yyjson_arr_size(value) && yyjson_is_obj(yyjson_arr_get_first(value)));
            indent_by(b, indent);
            write_text(b, key);
            sv_buf_puts(b, nested ? ":\n" : ": ");
            if (nested) {
                sv_yaml_write(b, value, indent + 2);
            } else {
                sv_yaml_write_flow(b, value);
                sv_buf_putc(b, '\n');
            }
        }
    } else if (yyjson_is_arr(v) && yyjson_arr_size(v)) {
        yyjson_arr_foreach(v, i, n, value) {
            indent_by(b, indent);
            sv_buf_puts(b, "- ");
            /* A map of one key, such as an operator with its parameters, reads better without the outer braces. */
            yyjson_val *only = yyjson_is_obj(value) && yyjson_obj_size(value) == 1 ? unsafe_yyjson_get_first(value) : NULL;
            if (only) {
                write_text(b, only);
                sv_buf_puts(b, ": ");
                sv_yaml_write_flow(b, yyjson_obj_iter_get_val(only));
            } else {
                sv_yaml_write_flow(b, value);
            }
            sv_buf_putc(b, '\n');
        }
    } else {
        indent_by(b, indent);
        sv_yaml_write_flow(b, v);
        sv_buf_putc(b, '\n');
    }
}
