/* cmd_tokenize.c - `synthvlm tokenize`: the ids that CLIP's, SigLIP's or BLIP's text encoder gets, for every text on stdin. */
#include <string.h>

#include "cli.h"
#include "synthvlm/tokenizer.h"

enum { MAX_THREADS = 64 };

static const sv_flag flags[] = {
    {"tokenizer", 0, "DIR", "directory with vocab.json and merges.txt, or tokenizer.json (CLIP); vocab.txt (BLIP); spiece.model or tokenizer.json (SigLIP)"},
    {"clean", 0, "NAME", "clean-up of the text: hf (transformers) or openai (openai/CLIP) (default hf)"},
    {"max-length", 0, "N", "ids a model row holds, start and end included (default: the tokenizer's model_max_length, else 77)"},
    {"threads", 0, "N", "threads (default: all cores)"},
    {0}};

static const char about[] =
    "Reads JSON lines with a field \"text\" on standard input and gives each back with\n"
    "  ids        all content ids, without start, end or padding\n"
    "  count      how many they are\n"
    "  truncated  whether a model row of --max-length ids cannot hold them all\n"
    "The ids are those of transformers' CLIPTokenizer (hf) or of openai/CLIP (openai: repairs text with ftfy's rules and decodes HTML\n"
    "entities first). A directory with vocab.txt holds a WordPiece tokenizer: the ids are those of transformers' BertTokenizer, as BLIP's\n"
    "text encoder gets them. A tokenizer_config.json that names SigLIP's or Gemma's tokenizer: the ids that SigLIP gets. A line that\n"
    "cannot be read gets an \"error\", the others go on, and the exit code is 1.\n"
    "\n"
    "  echo '{\"text\":\"a photo of a cat\"}' | synthvlm tokenize --tokenizer models/tabletop/tokenizer\n";

typedef struct job {
    const sv_tokenizer *tokenizer;
    const sv_wordpiece *words;   /* instead of the tokenizer */
    const sv_siglip *siglip;     /* likewise */
    sv_clean clean;
    size_t room;                 /* content ids in a row */
    sv_ids ids[MAX_THREADS];
} job;

static sv_status add_ids(void *user, unsigned thread, yyjson_mut_doc *doc, yyjson_mut_val *root, sv_error *err) {
    job *j = user;
    sv_ids *ids = &j->ids[thread];
    const char *text;
    size_t size;
    sv_status st = sv_line_get_str(root, "text", true, &text, &size, err);
    if (st == SV_OK)
        st = j->words  ? sv_wordpiece_encode(j->words, text, size, ids, err)
             : j->siglip ? sv_siglip_encode(j->siglip, text, size, ids, err) : sv_tokenizer_encode(j->tokenizer, text, size, j->clean, ids, err);
    if (st != SV_OK) return st;
    static const int32_t none;
    sv_line_put(doc, root, "ids", yyjson_mut_arr_with_sint32(doc, ids->size ? ids->data : &none, ids->size));
    sv_line_put_int(doc, root, "count", (int64_t)ids->size);
    sv_line_put_bool(doc, root, "truncated", ids->size > j->room);
    return SV_OK;
}

static sv_status usage(sv_error *err, const char *what, const char *why, const char *hint) {
    snprintf(err->what, sizeof err->what, "%s", what);
    snprintf(err->why, sizeof err->why, "%s", why);
    snprintf(err->hint, sizeof err->hint, "%s", hint);
    return err->status = SV_E_USAGE;
}

static sv_status run(const sv_args *args, sv_error *err) {
    const char *dir = sv_arg(args, "tokenizer"), *clean = sv_arg(args, "clean");
    static job j;                /* one command per process */
    int64_t threads = 0, length = 0;
    if (!dir) return usage(err, "tokenize", "--tokenizer is missing", "name a directory with vocab.json and merges.txt, or tokenizer.json");
    if (clean && strcmp(clean, "hf") != 0 && strcmp(clean, "openai") != 0) return usage(err, clean, "--clean knows hf and openai", "see synthvlm help tokenize");
    j.clean = clean && strcmp(clean, "openai") == 0 ? SV_CLEAN_OPENAI : SV_CLEAN_HF;
    sv_status st = sv_arg_int(args, "max-length", 2, 1 << 20, &length, err);
    if (st == SV_OK) st = sv_arg_int(args, "threads", 1, MAX_THREADS, &threads, err);
    sv_tokenizer *t = NULL;
    sv_wordpiece *w = NULL;
    sv_siglip *g = NULL;
    bool wordpiece = sv_wordpiece_is_model(dir), siglip = sv_siglip_is_model(dir);
    if (st == SV_OK && (wordpiece || siglip) && clean)
        st = usage(err, "--clean", wordpiece ? "is for CLIP's tokenizers, and this one is BERT's" : "is for CLIP's tokenizers, and this one is SigLIP's", "leave it out");
    if (st == SV_OK) st = wordpiece ? sv_wordpiece_open(&w, dir, err) : siglip ? sv_siglip_open(&g, dir, err) : sv_tokenizer_open(&t, dir, err);
    if (st == SV_OK) {
        j.tokenizer = t;
        j.words = w;
        j.siglip = g;
        size_t row = length > 0 ? (size_t)length : w ? sv_wordpiece_max_length(w) : g ? sv_siglip_max_length(g) : sv_tokenizer_max_length(t);
        j.room = g ? sv_siglip_room(g, row) : row - 2;
        st = sv_lines_run(stdin, (unsigned)threads, add_ids, &j, err);
        sv_tokenizer_close(&t);
        sv_wordpiece_close(&w);
        sv_siglip_close(&g);
    }
    for (int i = 0; i < MAX_THREADS; i++) sv_ids_free(&j.ids[i]);
    return st;
}

const sv_command sv_cmd_tokenize = {
    .name = "tokenize", .group = "Text", .usage = "--tokenizer DIR [--clean hf|openai] [--max-length N] < LINES",
    .summary = "give captions the ids that the text encoder sees", .about = about, .flags = flags, .run = run};
