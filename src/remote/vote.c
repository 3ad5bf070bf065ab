/* vote.c - prompts, and what the answers to them mean. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "remote/judge.h"

const char *sv_judge_prompt(sv_grade grade) {
    static const char vote[] =
        "You check captions before pictures are drawn from them. A good caption is fluent and specific, and says what can be seen in one picture. It is "
        "not advertising, not a list of keywords, not code, and holds no addresses, names of files or remarks about the picture's making.\n\n"
        "Caption: {caption}\n\n"
        "Is this a good caption? Answer with one word, Yes or No.";
    static const char score[] =
        "You grade captions before pictures are drawn from them. 5: fluent, specific, everything it says can be seen in one picture. 4: good with a "
        "small flaw. 3: usable but vague or clumsy. 2: hardly says what is to be seen. 1: advertising, keywords, code, or no caption at all.\n\n"
        "Caption: {caption}\n\n"
        "Answer with one digit from 1 to 5.";
    return grade == SV_GRADE_SCORE ? score : vote;
}

sv_status sv_judge_check_prompt(const char *text, size_t size, const char *what, sv_error *err) {
    if (sv_utf8_valid(text, size) != size || strlen(text) != size) return sv_fail(err, SV_E_USAGE, what, "the prompt is not UTF-8 text");
    if (strstr(text, "{caption}")) return SV_OK;
    sv_fail(err, SV_E_USAGE, what, "the prompt must hold {caption}, where the caption goes");
    return sv_hint(err, SV_E_USAGE, "for example  Caption: {caption}  and then the question");
}

/* ---- words ---- */

/* Past the thoughts that some models write before their answer; NULL if they do not end. */
static const char *past_thoughts(const char *text) {
    static const char begin[] = "<think>", end[] = "</think>";
    while (*text && (isspace((unsigned char)*text))) text++;
    if (!sv_str_starts(text, begin)) return text;
    const char *at = strstr(text, end);
    return at ? at + sizeof end - 1 : NULL;
}

/* The next word (letters and digits of any alphabet), in lower case, with '?' for what is not ASCII; false at the end. */
static bool next_word(const char **text, char *word, size_t room) {
    size_t n = 0, left = strlen(*text);
    const char *p = *text;
    while (left) {
        uint32_t cp;
        int size = sv_utf8_decode(p, left, &cp);
        utf8proc_category_t kind = size ? utf8proc_category((utf8proc_int32_t)cp) : UTF8PROC_CATEGORY_CN;
        bool letter = kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NO;   /* letters, marks, numbers */
        if (!letter && n) break;
        if (letter && n + 1 < room) word[n++] = cp < 0x80 ? (char)tolower((int)cp) : '?';
        p += size ? size : 1;
        left -= (size_t)(size ? size : 1);
    }
    word[n] = 0;
    *text = p;
    return n > 0;
}

static sv_vote vote_of_word(const char *word) {
    return strcmp(word, "yes") == 0 ? SV_VOTE_YES : strcmp(word, "no") == 0 ? SV_VOTE_NO : SV_VOTE_UNCLEAR;
}

/* Words that lead to an answer without being one. */
static bool leads(const char *word) {
    static const char *const words[] = {"answer", "the", "my", "is", "final", "verdict", "response", "assistant"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return false;
}

sv_vote sv_judge_vote(const char *text) {
    char word[16], second[16] = "";
    text = past_thoughts(text);
    if (!text) return SV_VOTE_UNCLEAR;
    bool any;
    while ((any = next_word(&text, word, sizeof word)) && leads(word)) continue;
    if (!any) return SV_VOTE_UNCLEAR;
    sv_vote vote = vote_of_word(word);
    /* "Yes or no?" and "Yes/No" decide nothing. */
    bool joined = text[strspn(text, " ")] == '/';
    if (next_word(&text, second, sizeof second) && (strcmp(second, "or") == 0 || strcmp(second, "and") == 0)) joined = next_word(&text, second, sizeof second);
    sv_vote other = vote_of_word(second);
    return joined && other != SV_VOTE_UNCLEAR && other != vote ? SV_VOTE_UNCLEAR : vote;
}

/* ---- points ---- */

/* The next number of a text, and what stands before and behind it; false at the end. */
static bool next_number(const char **text, double *value, bool *negative) {
    const char *p = *text;
    while (*p && !isdigit((unsigned char)*p)) p++;
    if (!*p) return false;
    *negative = p > *text && p[-1] == '-';
    char *end;
    char digits[32];
    size_t n = strspn(p, "0123456789.");
    while (n && p[n - 1] == '.') n--;   /* a full stop */
    snprintf(digits, sizeof digits, "%.*s", (int)(n < 31 ? n : 31), p);
    *value = strtod(digits, &end);
    if (*end) *value = NAN;             /* "1.2.3" */
    *text = p + n;
    return true;
}

double sv_judge_points(const char *text) {
    double value, found = NAN;
    bool negative;
    text = past_thoughts(text);
    while (text && next_number(&text, &value, &negative)) {
        if (negative || !(value >= 1 && value <= 5)) return NAN;
        if (!isnan(found) && found != value) return NAN;
        found = value;
        /* "4/5", "4 out of 5": the second number is the scale. */
        const char *p = text + strspn(text, " *");
        p = *p == '/' ? p + 1 : sv_str_starts(p, "out of") ? p + 6 : NULL;
        if (p) p += strspn(p, " *");
        if (p && *p == '5' && !isdigit((unsigned char)p[1]) && !(p[1] == '.' && isdigit((unsigned char)p[2]))) text = p + 1;
    }
    return found;
}

/* ---- probabilities ---- */

static sv_vote vote_of_token(const char *token) {
    char word[16];
    size_t n = 0;
    const char *p = token;
    while (*p && !(isascii((unsigned char)*p) && isalnum((unsigned char)*p))) p++;   /* spaces and the marks that tokenizers have for them */
    for (; *p && isascii((unsigned char)*p) && isalnum((unsigned char)*p) && n + 1 < sizeof word; p++) word[n++] = (char)tolower((unsigned char)*p);
    word[n] = 0;
    for (; *p; p++)
        if (!isascii((unsigned char)*p) || isalnum((unsigned char)*p)) return SV_VOTE_UNCLEAR;
    return vote_of_word(word);
}

double sv_judge_p_yes(const sv_chat_answer *a) {
    const char *text = a->text.data ? a->text.data : "";
    if (past_thoughts(text) != text + strspn(text, " \t\r\n")) return NAN;   /* the words of thoughts are not the answer */
    for (int i = 0; i < a->place_count; i++) {
        const sv_chat_place *p = &a->places[i];
        sv_vote said = vote_of_token(p->token.text);
        if (said == SV_VOTE_UNCLEAR) continue;
        double yes = 0, no = 0;
        for (int k = 0; k < p->rival_count; k++) {
            sv_vote v = vote_of_token(p->rivals[k].text);
            if (v == SV_VOTE_YES) yes += exp(p->rivals[k].logprob);
            if (v == SV_VOTE_NO) no += exp(p->rivals[k].logprob);
        }
        if (!(yes + no > 0)) {          /* no rivals: only the token's own probability is known */
            double own = exp(p->token.logprob);
            yes = said == SV_VOTE_YES ? own : 1 - own;
            no = 1 - yes;
        }
        double share = yes / (yes + no);
        return share >= 0 && share <= 1 ? share : NAN;
    }
    return NAN;
}
