/* llava.c - LLaVA's pre-training format (as blip_laion_cc_sbu_558k.json): llava.json for --data_path, images/ for --image_folder.
 *
 * Images are images/00000/000000000.jpg: nine digits that count the selection from the best, in folders of 10,000. Every entry is one
 * question and one answer; the question is one of LLaVA's eleven short instructions, drawn by the caption's id.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "stages/export/export.h"

typedef struct llava_options {
    int caption;                 /* sv_export_caption */
    bool scores;
} llava_options;

static const sv_option options_table[] = {
    SV_EXPORT_CAPTION_OPTION(llava_options),
    {"scores", SV_OPT_BOOL, offsetof(llava_options, scores), "false", .help = "adds clip_score, ssim_score… to every entry; trainers ignore them"},
    {0}};

typedef struct llava_state {
    sv_export_stream *json, *pairs;
    int64_t folder;              /* the one that images go to now; -1: none yet */
    int64_t tokens_removed;
} llava_state;

/* The short instructions of LLaVA's pre-training set. */
static const char *const instructions[] = {
    "Describe the image concisely.",
    "Provide a brief description of the given image.",
    "Offer a succinct explanation of the picture presented.",
    "Summarize the visual content of the image.",
    "Give a short and clear explanation of the subsequent image.",
    "Share a concise interpretation of the image provided.",
    "Present a compact description of the photo's key features.",
    "Relay a brief, clear account of the picture shown.",
    "Render a clear and concise summary of the photo.",
    "Write a terse but informative summary of the picture.",
    "Create a compact narrative representing the image presented.",
};
#define INSTRUCTIONS (sizeof instructions / sizeof *instructions)

/* SHA-256("instruction:<run seed>/<caption id>"): the first 8 bytes, big-endian, modulo 11 are the instruction; the lowest bit of the ninth
 * puts the image token before (0) or after (1) it. */
static sv_status draw_instruction(int64_t seed, const char *id, const char **text, bool *image_last, sv_error *err) {
    sv_buf b = {0};
    uint8_t digest[32];
    sv_buf_printf(&b, "instruction:%lld/%s", (long long)seed, id);
    SV_TRY(sv_buf_ok(&b, err));
    sv_sha256(b.data, b.size, digest);
    sv_buf_free(&b);
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) n = n << 8 | digest[i];
    *text = instructions[n % INSTRUCTIONS];
    *image_last = digest[8] & 1;
    return SV_OK;
}

/* A caption that holds "<image>" itself would make the trainer look for a second image: there it becomes "image". */
static char *without_image_tokens(const char *caption, int64_t *removed) {
    sv_buf b = {0};
    for (const char *token; (token = strstr(caption, "<image>")); caption = token + 7) {
        sv_buf_add(&b, caption, (size_t)(token - caption));
        sv_buf_puts(&b, "image");
        ++*removed;
    }
    sv_buf_puts(&b, caption);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

static void llava_close(void *state) {
    llava_state *s = state;
    if (!s) return;
    sv_export_stream_drop(&s->json);
    sv_export_stream_drop(&s->pairs);
    free(s);
}

static sv_status llava_begin(sv_export_job *job, void **state, sv_error *err) {
    llava_state *s = calloc(1, sizeof *s);
    *state = s;
    if (!s) return sv_fail_memory(err, "llava", sizeof *s);
    s->folder = -1;
    SV_TRY(sv_export_stream_open(&s->json, job, "llava.json", err));
    SV_TRY(sv_export_stream_add(s->json, "[", 1, err));
    char *images = sv_path_join(job->dir, "images");
    sv_status st = images ? sv_dir_make(images, err) : sv_fail_memory(err, "images", 0);
    free(images);
    return st == SV_OK ? sv_export_stream_open(&s->pairs, job, "pairs.jsonl", err) : st;
}

/* Names in a finished folder are made durable; the next one is made. Negative: only the former. */
static sv_status turn_folder(const sv_export_job *job, llava_state *s, int64_t folder, sv_error *err) {
    char name[32];
    for (int step = 0; step < 2; step++) {
        int64_t which = step == 0 ? s->folder : folder;
        if (which < 0) continue;
        snprintf(name, sizeof name, "images/%05lld", (long long)which);
        char *path = sv_path_join(job->dir, name);
        sv_status st = !path ? sv_fail_memory(err, name, 0) : step == 0 ? sv_dir_sync(path, err) : sv_dir_make(path, err);
        free(path);
        if (st != SV_OK) return st;
    }
    s->folder = folder;
    return SV_OK;
}

static void add_entry(sv_buf *b, const sv_pick *pick, const char *key, const char *image, const char *instruction, bool image_last,
                      const char *caption, bool scores) {
    sv_buf_printf(b, "\n{\"id\": \"%s\", \"image\": \"%s\", \"conversations\": [{\"from\": \"human\", \"value\": \"", key, image);
    if (image_last) sv_buf_printf(b, "%s\\n<image>", instruction);
    else sv_buf_printf(b, "<image>\\n%s", instruction);
    sv_buf_puts(b, "\"}, {\"from\": \"gpt\", \"value\": ");
    sv_export_json_text(b, caption);
    sv_buf_puts(b, "}]");
    for (size_t i = 0; scores && i < pick->score_count; i++) {
        char number[32];
        sv_buf_printf(b, ", \"%s_score\": %s", pick->scores[i].name, sv_real_text(pick->scores[i].value, number));
    }
    sv_buf_putc(b, '}');
}

static sv_status llava_add(sv_export_job *job, void *state, const sv_pick *pick, int64_t rank, const sv_export_image *image, sv_error *err) {
    llava_state *s = state;
    const llava_options *o = job->options;
    char key[24], file[48], name[64];
    snprintf(key, sizeof key, "%09lld", (long long)rank);
    snprintf(file, sizeof file, "%05lld/%s.%s", (long long)(rank / 10000), key, image->extension);
    snprintf(name, sizeof name, "images/%s", file);
    if (rank / 10000 != s->folder) SV_TRY(turn_folder(job, s, rank / 10000, err));
    SV_TRY(sv_export_link(job, name, image, err));

    const char *instruction;
    bool image_last;
    SV_TRY(draw_instruction(job->facts->seed, pick->id, &instruction, &image_last, err));
    char *caption = without_image_tokens(sv_export_caption_of(pick, o->caption), &s->tokens_removed);
    if (!caption) return sv_fail_memory(err, pick->id, 0);
    sv_buf b = {0};
    if (rank > 0) sv_buf_putc(&b, ',');
    add_entry(&b, pick, key, file, instruction, image_last, caption, o->scores);
    free(caption);
    sv_status st = sv_buf_ok(&b, err);
    if (st == SV_OK) st = sv_export_stream_add(s->json, b.data, b.size, err);
    sv_buf_clear(&b);
    sv_export_describe(&b, key, pick, o->caption, image);
    sv_buf_putc(&b, '\n');
    if (st == SV_OK) st = sv_buf_ok(&b, err);
    if (st == SV_OK) st = sv_export_stream_add(s->pairs, b.data, b.size, err);
    sv_buf_free(&b);
    return st;
}

static sv_status llava_finish(sv_export_job *job, void *state, sv_error *err) {
    llava_state *s = state;
    SV_TRY(turn_folder(job, s, -1, err));
    SV_TRY(sv_export_stream_add(s->json, "\n]\n", 3, err));
    SV_TRY(sv_export_stream_end(&s->json, job, NULL, err));
    SV_TRY(sv_export_stream_end(&s->pairs, job, NULL, err));
    char *images = sv_path_join(job->dir, "images");
    sv_status st = images ? sv_dir_sync(images, err) : sv_fail_memory(err, "images", 0);
    free(images);
    if (s->tokens_removed) sv_buf_printf(&job->details, "\"image_tokens_replaced\": %lld,\n ", (long long)s->tokens_removed);
    return st;
}

const sv_exporter sv_exporter_llava = {
    .format = {"llava", "LLaVA's pre-training JSON with a folder of images", options_table, sizeof(llava_options)},
    .loading = "LLaVA's trainer takes it as it is: `--data_path llava.json --image_folder images --version plain`.\n"
               "`pairs.jsonl` says of every pair where it comes from: caption id, candidate, seed, scores, licence.\n",
    .begin = llava_begin, .add = llava_add, .finish = llava_finish, .close = llava_close};
