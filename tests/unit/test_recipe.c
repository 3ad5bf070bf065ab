/* Recipes: what loads, what is refused and how the message reads, --set, and copies that load again as the same recipe. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/yaml.h"

#define BASE                                               \
    "name: demo\n"                                         \
    "seed: 42\n"                                           \
    "captions:\n"                                          \
    "  sources: [{path: c.jsonl}]\n"                       \
    "  process:\n"                                         \
    "    - alphanumeric_filter: {min_ratio: 0.6}\n"        \
    "generate:\n"                                          \
    "  model: m\n"                                         \
    "  steps: 20\n"                                        \
    "score:\n"                                             \
    "  clip: {model: clip}\n"

static sv_recipe *read_text(const char *text, const char *const *sets, size_t n) {
    sv_recipe *r;
    sv_error err = {0};
    char message[2048];
    if (sv_recipe_read(&r, text, strlen(text), "r.yaml", "dir", sets, n, &err) != SV_OK) fail_msg("%s", sv_error_text(&err, message, sizeof message));
    return r;
}

static void refuse_bytes(const char *text, size_t size, const char *expected) {
    sv_recipe *r;
    sv_error err = {0};
    char message[2048];
    sv_status st = sv_recipe_read(&r, text, size, "r.yaml", "dir", NULL, 0, &err);
    sv_error_text(&err, message, sizeof message);
    if (st != SV_E_RECIPE) fail_msg("status %d instead of a refusal that says: %s", st, expected);
    assert_null(r);
    if (!strstr(message, expected)) fail_msg("got:      %s\nexpected: %s", message, expected);
    assert_int_equal(sv_recipe_read(&r, text, size, "r.yaml", "dir", NULL, 0, NULL), SV_E_RECIPE);
}

/* The text with the first `from` in it replaced (malloc). */
static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    sv_buf b = {0};
    sv_buf_add(&b, text, (size_t)(at - text));
    sv_buf_puts(&b, to);
    sv_buf_puts(&b, at + strlen(from));
    return b.data;
}

static void every_mistake_has_its_place(void **state) {
    (void)state;
    static const struct { const char *from, *to, *message; } cases[] = {
        /* keys */
        {"steps: 20", "stpes: 20", "r.yaml:9:3: generate.stpes: unknown key (did you mean \"steps\"?"},
        {"score:", "scroe:", "r.yaml:10:1: scroe: unknown key (did you mean \"score\"?"},
        {"{path: c.jsonl}", "{paht: c.jsonl}", "r.yaml:4:14: captions.sources[0].paht: unknown key (did you mean \"path\"?"},
        {"steps: 20", "steps: 20\n  steps: 30", "r.yaml:10:3: the key \"steps\" is there twice, first at 9:3"},
        {"steps: 20", "<<: {a: b}", "r.yaml:9:3: merge keys"},
        {"steps: 20", "? [a]\n  : b", "r.yaml:9:5: a key must be text"},
        {"  sources: [{path: c.jsonl}]\n", "", "r.yaml:3:1: captions.sources: is missing"},
        {"[{path: c.jsonl}]", "[]", "r.yaml:4:3: captions.sources: is empty"},
        {"[{path: c.jsonl}]", "c.jsonl", "r.yaml:4:12: captions.sources: must be a list, not text"},
        {"[{path: c.jsonl}]", "[{path: c.jsonl}, {text: x}]", "r.yaml:4:30: captions.sources[1].path: is missing"},
        {"[{path: c.jsonl}]", "[{path: \"-\"}, {path: \"-\"}]", "r.yaml:4:33: captions.sources[1].path: standard input can be read only once"},
        /* values */
        {"steps: 20", "steps: many", "r.yaml:9:10: generate.steps: must be an integer from 1 to 1000, not \"many\""},
        {"steps: 20", "steps: \"20\"", "leave the quotes out"},
        {"steps: 20", "steps: 0", "r.yaml:9:10: generate.steps: must be an integer from 1 to 1000, not 0"},
        {"steps: 20", "steps: 1e3", "must be an integer from 1 to 1000, not 1000.0"},
        {"steps: 20", "steps: 020", "r.yaml:9:10: a number with a leading zero is octal in YAML 1.1"},
        {"steps: 20", "steps:", "r.yaml:9:3: generate.steps: must be an integer from 1 to 1000, not null"},
        {"steps: 20", "negative: no", "r.yaml:9:13: no is text in YAML 1.2, but true or false in YAML 1.1"},
        {"steps: 20", "guidance: .inf", "r.yaml:9:13: a number here must be finite"},
        {"steps: 20", "size: 512", "generate.size: must be a size WIDTHxHEIGHT such as 512x512, or null, not 512"},
        {"steps: 20", "image: jpeg", "r.yaml:9:10: generate.image: must be a map, not text"},
        {"steps: 20", "image: {format: jpg}", "r.yaml:9:19: generate.image.format: must be one of jpeg, png, webp, not \"jpg\""},
        {"steps: 20", "prompt: hello", "generate.prompt: must hold {caption}"},
        {"steps: 20", "prompt: {caption}", "goes in quotes, as in prompt: \"{caption}\""},
        {"steps: 20", "scheduler: dpm-solver", "generate.scheduler: there is no scheduler \"dpm-solver\""},
        {"steps: 20", "scheduler: {_class_name: Euler}", "r.yaml:9:28: generate.scheduler._class_name: there is no scheduler \"Euler\""},
        {"steps: 20", "scheduler: 5", "generate.scheduler: must be a class name, a map of config keys, or null"},
        {"name: demo", "name: 123", "in quotes it is text: name: \"123\""},
        {"name: demo", "name: a/b", "r.yaml:1:7: name: must be"},
        {"seed: 42", "seed: -1", "r.yaml:2:7: seed: must be an integer of at least 0, not -1"},
        {"seed: 42", "seed: 99999999999999999999", "r.yaml:2:7: the number does not fit 64 bits"},
        {"{model: clip}", "{model: clip, flavour: synthvml}", "there is no flavour \"synthvml\" (did you mean \"synthvlm\"?"},
        {"  clip: {", "  ssim: {base: 100, low: 200}\n  clip: {", "r.yaml:11:26: score.ssim.low: must not be above base, which is 100"},
        {"  clip: {", "  pillow: 12\n  clip: {", "r.yaml:11:11: score.pillow: must be 13 or 11"},
        {"  clip: {model: clip}", "  pillow: 13", "score.clip.model: is missing, but the weighted score needs it"},
        {"  clip: {model: clip}", "select: {by: clip}", "score.clip.model: is missing, but select.by is clip"},
        {"score:", "select: {keep: 10%, count: 5}\nscore:", "r.yaml:10:28: select.count: keep is given too"},
        {"score:", "select: {keep: 0%}\nscore:", "select.keep: must be above 0"},
        {"score:", "select: {keep: 120%}\nscore:", "select.keep: must be a number from 0 to 1, or null, not 1.2"},
        /* operators */
        {"alphanumeric_filter:", "alphanumericfilter:",
         "r.yaml:6:7: captions.process[0]: unknown operator \"alphanumericfilter\" (did you mean \"alphanumeric_filter\"?"},
        {"{min_ratio: 0.6}", "{min_ratoi: 0.6}", "did you mean \"min_ratio\"?"},
        {"{min_ratio: 0.6}", "\n        min_ratio: abc", "r.yaml:7:20: captions.process[0].alphanumeric_filter.min_ratio: must be a number"},
        {"process:\n    - alphanumeric_filter: {min_ratio: 0.6}", "process: text", "captions.process"},
        {"- alphanumeric_filter: {min_ratio: 0.6}", "- flagged_words_filter: {flagged_words_dir: nowhere}",
         "r.yaml:6:49: captions.process[0].flagged_words_filter.flagged_words_dir: dir/nowhere: "},
        /* exports */
        {"score:", "export: [{format: lava}]\nscore:", "r.yaml:10:19: export[0].format: there is no export format \"lava\" (did you mean \"llava\"?"},
        {"score:", "export: [{format: llava}, {format: llava}]\nscore:", "export[1]: this format is exported already"},
        {"score:", "export: [{format: webdataset, shardsize: 1GB}]\nscore:",
         "r.yaml:10:31: export[0].shardsize: unknown key (did you mean \"shard_size\"?"},
        {"score:", "export: {format: llava}\nscore:", "r.yaml:10:1: export: must be a list"},
        {"score:", "export: [llava]\nscore:", "export[0]: must be a map such as {format: llava}"},
        /* keys and values of later versions */
        {"steps: 20", "refiner: {model: x, at: 1}", "r.yaml:9:27: generate.refiner.at: must be a number from 0.001"},
        {"steps: 20", "candidates: {min: 9, max: 8, stop_at: 1}", "generate.candidates.min: must not be above max, which is 8"},
        {"steps: 20", "candidates: {min: 1, max: 8}", "generate.candidates.min: means nothing without stop_at or drop_below"},
        {"steps: 20", "candidates: {max: 8, budget: 3}", "generate.candidates.budget: means nothing without stop_at or drop_below"},
        {"steps: 20", "candidates: {max: 8, stop_at: 1, budget: 9}", "generate.candidates.budget: must lie between min and max, 1 and 8"},
        {"steps: 20", "candidates: {max: 8, stop_at: 1, drop_after: 2}", "generate.candidates.drop_after: means nothing without drop_below"},
        {"steps: 20", "candidates: {max: 8, stop_at: 1, drop_below: 1}", "generate.candidates.drop_below: must be below stop_at"},
        {"steps: 20", "candidates: {most: 8}", "generate.candidates.most: unknown key"},
        {"steps: 20", "candidates: 0", "generate.candidates:"},
        {"steps: 20", "candidates: many", "generate.candidates: must be a number or a map, not"},
        {"steps: 20", "prune: {at: 1.5}", "generate.prune.at: must be a share of the steps between 0 and 1"},
        {"steps: 20", "prune: {at: [0.5, 0.999]}", "generate.prune.at: 0.999 of 50 steps is after the last one"},
        {"steps: 20", "steps: 4\n  prune: {at: 0.1}", "generate.prune.at: 0.1 of 4 steps is before the first one"},
        {"steps: 20", "prune: {at: [0.5, 0.3]}", "generate.prune.at: must be a share of the steps between 0 and 1"},
        {"steps: 20", "prune: {at: 0.5, keep: 0}", "generate.prune.keep:"},
        {"steps: 20", "guidance_interval: [0.8, 0.2]", "generate.guidance_interval: must be two shares of the steps"},
        {"steps: 20", "guidance_interval: 0.5", "generate.guidance_interval"},
        {"steps: 20", "vae_tiling: some", "generate.vae_tiling"},
        {"steps: 20", "long_captions: shorten", "generate.long_captions"},
        {"  steps: 20", "  server: {}", "generate.server: is not available in this version"},
        {"  clip: {", "  held_out: {model: clip}\n  clip: {", "is the model of score.clip, which selects"},
        {"  clip: {", "  held_out: {model: other, flavour: none}\n  clip: {", "score.held_out.flavour"},
        {"  clip: {", "  judge_image: {model: x}\n  clip: {", "score.judge_image.url: is missing"},
        {"  clip: {", "  judge_image: {url: \"http://h/v1\"}\n  clip: {", "score.judge_image.model: is missing"},
        {"score:\n", "select: {per_caption: 2}\nscore:\n  judge_image: {url: \"http://h/v1\", model: x, use: tie_break}\n", "but select.per_caption is 2"},
        {"score:", "select: {by: held_out}\nscore:", "select.by"},
        /* YAML itself */
        {"  steps: 20", "\tsteps: 20", "r.yaml:9:2: not YAML: invalid tab used as indentation"},
        {"steps: 20", "image: {format: jpeg", "not YAML"},
        {"steps: 20", "steps: !int 20", "tags other than"},
        {"score:", "---\nscore:", "r.yaml:10:1: a second document begins here"},
        {"seed: 42", "seed: *unknown", "r.yaml:2:7: the alias *unknown has no anchor before it"},
        {"seed: 42", "seed: &a [*a]", "r.yaml:2:11: the alias *a has no anchor before it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = replaced(BASE, cases[i].from, cases[i].to);
        refuse_bytes(text, strlen(text), cases[i].message);
        free(text);
    }
}

static void files_that_are_no_recipe(void **state) {
    (void)state;
    refuse_bytes("", 0, "r.yaml: holds no recipe: the file is empty");
    refuse_bytes("# only a comment\n", 17, "holds no recipe");
    refuse_bytes("hello\n", 6, "r.yaml:1:1: a recipe is a map of sections, and this is text");
    refuse_bytes("- a\n", 4, "this is a list");
    refuse_bytes("name: \"abc", 10, "not YAML: double-quoted scalar without closing quote");
    refuse_bytes("name: d\xFFmo\n", 10, "r.yaml:1:8: not valid UTF-8 text");
    refuse_bytes("name: a\nb: \0c\n", 14, "r.yaml:2:4: not text: holds a NUL byte");
    refuse_bytes("name: \"a\\0b\"\n", 13, "r.yaml:1:7: holds a NUL character");
    sv_buf b = {0};
    for (int i = 0; i < 5000; i++) sv_buf_putc(&b, '[');
    refuse_bytes(b.data, b.size, "nested too deeply");
    sv_buf_clear(&b);
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < i; k++) sv_buf_putc(&b, ' ');
        sv_buf_puts(&b, "a:\n");
    }
    refuse_bytes(b.data, b.size, "nested too deeply");
    sv_buf_clear(&b);
    sv_buf_puts(&b, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'j'; c++) sv_buf_printf(&b, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1, c - 1, c - 1,
                                                   c - 1, c - 1, c - 1, c - 1);
    refuse_bytes(b.data, b.size, "aliases expand to more values than a recipe can have");
    sv_buf_free(&b);

    sv_recipe *r;
    sv_error err = {0};
    assert_int_equal(sv_recipe_load(&r, "tests", NULL, 0, &err), SV_E_RECIPE);
    assert_non_null(strstr(err.why, "is a directory"));
    assert_int_equal(sv_recipe_load(&r, "tests/no-such.yaml", NULL, 0, &err), SV_E_RECIPE);
    assert_non_null(strstr(err.why, "there is no such file"));
}

static void defaults_and_values(void **state) {
    (void)state;
    sv_recipe *r = read_text(BASE, NULL, 0);
    assert_string_equal(sv_recipe_name(r), "demo");
    assert_int_equal(r->seed, 42);
    assert_int_equal(r->captions.source_count, 1);
    assert_string_equal(r->captions.sources[0].path, "dir/c.jsonl");
    assert_string_equal(r->captions.sources[0].text, "caption");
    assert_null(r->captions.sources[0].license);
    assert_true(r->captions.sample == INT64_MIN);
    assert_string_equal(r->captions.process, "[{\"alphanumeric_filter\":{\"min_ratio\":0.6}}]");
    assert_string_equal(r->generate.model, "dir/m");
    assert_string_equal(r->generate.prompt, "{caption}");
    assert_null(r->generate.negative);
    assert_int_equal(r->generate.candidates.max, 4);
    assert_int_equal(r->generate.size[0], 0);
    assert_true(r->generate.guidance == 7.5);
    assert_int_equal(r->generate.image.quality, 95);
    assert_int_equal(r->generate.engine.workers, 0);
    assert_string_equal(r->score.clip.model, "dir/clip");
    assert_null(r->score.clip.prefix);
    assert_int_equal(r->score.ssim.base, 768);
    assert_true(r->score.weights.ssim == 0.5);
    assert_true(isnan(r->select.keep));
    assert_true(isnan(r->select.min.clip));
    assert_int_equal(r->export_count, 0);
    sv_recipe_close(&r);
    assert_null(r);

    /* Quotes, percentages, hexadecimal, aliases, a byte order mark and Windows line ends. */
    r = read_text("\xEF\xBB\xBFseed: &s 0x10\r\ncaptions: {sources: [{path: \"-\"}], sample: *s}\r\n"
                  "generate: {model: /abs/m, negative: \"no\", scheduler: {use_karras_sigmas: true}, size: 64x32}\r\n"
                  "score: {weights: {clip: 0, scale: 2.5}}\r\nselect: {keep: 33.3%, min: {ssim: 5%}}\r\n"
                  "export: [{format: webdataset, shard_size: 5MB}]\r\n", NULL, 0);
    assert_string_equal(sv_recipe_name(r), "r");
    assert_int_equal(r->seed, 16);
    assert_int_equal(r->captions.sample, 16);
    assert_string_equal(r->captions.sources[0].path, "-");
    assert_string_equal(r->captions.process, "[]");
    assert_string_equal(r->generate.model, "/abs/m");
    assert_string_equal(r->generate.negative, "no");
    assert_string_equal(r->generate.scheduler, "{\"use_karras_sigmas\":true}");
    assert_int_equal(r->generate.size[0], 64);
    assert_int_equal(r->generate.size[1], 32);
    assert_int_equal(r->score.weights.scale, 1);
    assert_true(r->select.keep == 0.333);
    assert_true(r->select.min.ssim == 0.05);
    assert_int_equal(r->export_count, 1);
    assert_string_equal(sv_export_formats[r->exports[0].format]->name, "webdataset");
    assert_non_null(strstr(r->exports[0].options, "\"shard_size\":5000000"));
    sv_recipe_close(&r);
}

static void set_lays_values_over(void **state) {
    (void)state;
    const char *const sets[] = {"generate.steps=30", "generate.image.format=png", "captions.sources.0.text=t", "captions.sources[1].path=here.txt",
                                "select.keep=5%", "captions.process.alphanumeric_filter.min_ratio=0.2", "score.clip.model=other",
                                "generate.prompt=\"{caption}, photo\"", "export.0.format=llava",
                                "generate.scheduler.use_karras_sigmas=true", "name="};
    sv_recipe *r = read_text(BASE, sets, sizeof sets / sizeof *sets);
    assert_int_equal(r->generate.steps, 30);
    assert_int_equal(r->generate.image.format, 1);
    assert_string_equal(r->captions.sources[0].text, "t");
    assert_string_equal(r->captions.sources[0].path, "dir/c.jsonl");
    assert_string_equal(r->captions.sources[1].path, "here.txt");      /* relative to the working directory */
    assert_string_equal(r->score.clip.model, "other");
    assert_true(r->select.keep == 0.05);
    assert_string_equal(r->captions.process, "[{\"alphanumeric_filter\":{\"min_ratio\":0.2}}]");
    assert_string_equal(r->generate.prompt, "{caption}, photo");
    assert_int_equal(r->export_count, 1);
    assert_string_equal(r->generate.scheduler, "{\"use_karras_sigmas\":true}");
    assert_string_equal(sv_recipe_name(r), "r");
    sv_recipe_close(&r);

    static const struct { const char *set, *message; } bad[] = {
        {"generate.stpes=30", "--set generate.stpes: unknown key (did you mean \"steps\"?"},
        {"generate.steps=0", "--set generate.steps: must be an integer from 1 to 1000, not 0"},
        {"generate.steps=", "--set generate.steps: must be an integer from 1 to 1000, not null"},
        {"generate.prompt={caption} x", "--set generate.prompt: not YAML"},
        {"captions.sources.5.path=q", "--set captions.sources.5.path: the list has no item \"5\""},
        {"captions.process=[{foo: }]", "--set captions.process[0]: unknown operator \"foo\""},
        {"name.x=3", "--set name.x: the recipe has text where \"x\" would have to be a key of a map"},
        {"score.clip.model=null", "--set score.clip.model: is missing, but the weighted score needs it"},
        {"steps", "--set steps: not of the form key=value"},
        {"=3", "not of the form key=value"},
        {"..=3", "--set ..: not a key"},
        {"generate.prompt=\xFF", "--set generate.prompt: not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sv_error err = {0};
        char message[2048];
        assert_int_equal(sv_recipe_read(&r, BASE, strlen(BASE), "r.yaml", "dir", &bad[i].set, 1, &err), SV_E_RECIPE);
        sv_error_text(&err, message, sizeof message);
        if (!strstr(message, bad[i].message)) fail_msg("got:      %s\nexpected: %s", message, bad[i].message);
    }
}

/* The copy with every default, read again from the directory that its paths are relative to, gives the same copy. */
static void copies_load_as_the_same_recipe(void **state) {
    (void)state;
    static const char *const sets[] = {
        "generate.negative=\"a: b # c \\\" \\\\ \\t \xC3\xA9 \xE2\x80\xA8 no\"", "generate.prompt=\"yes {caption} 1e3\"",
        "generate.scheduler={beta_start: 0.00085, a: [1, null, x], b: {}}",
        "captions.sources.0.source=\"0123\"", "captions.sources.0.license=\"null\"", "select.keep=33.3%", "captions.sample=7",
        "export=[{format: llava, scores: true}, {format: webdataset}]",
        "name=\"on\""};
    sv_recipe *r = read_text(BASE, sets, sizeof sets / sizeof *sets);
    char *first, *second;
    assert_int_equal(sv_recipe_text(r, "/nowhere/run", &first, NULL), SV_OK);
    sv_recipe *again;
    sv_error err = {0};
    sv_status st = sv_recipe_read(&again, first, strlen(first), "copy.yaml", "/nowhere/run", NULL, 0, &err);
    if (st != SV_OK) fail_msg("%s: %s\n%s", err.what, err.why, first);
    assert_int_equal(sv_recipe_text(again, "/nowhere/run", &second, NULL), SV_OK);
    assert_string_equal(first, second);
    assert_string_equal(r->generate.negative, again->generate.negative);
    assert_string_equal(r->generate.prompt, again->generate.prompt);
    assert_string_equal(r->generate.scheduler, again->generate.scheduler);
    assert_string_equal(r->captions.sources[0].source, again->captions.sources[0].source);
    assert_string_equal(r->captions.sources[0].license, again->captions.sources[0].license);
    assert_string_equal(r->name, again->name);
    assert_true(r->select.keep == again->select.keep);
    assert_non_null(strstr(first, "workers: auto"));
    assert_non_null(strstr(first, "min_closed_interval: true"));   /* operators with their defaults, too */
    free(first);
    free(second);
    sv_recipe_close(&r);
    sv_recipe_close(&again);
}

/* Calls fn for every key of a section and of those below it. */
static void each_key(const sv_section *s, void (*fn)(const char *key, const char *text), const char *text) {
    for (const sv_option *o = s->options; o && o->name; o++)
        if (!o->later) fn(o->name, text);
    for (const sv_section *c = s->children; c && c->key; c++) {
        fn(c->key, text);
        each_key(c, fn, text);
    }
}

static void key_is_shown(const char *key, const char *text) {
    char line[64];
    snprintf(line, sizeof line, " %s:", key);
    if (!strstr(text, line) && !strstr(text, line + 1)) fail_msg("no %s in the help", key);
}

static void key_is_documented(const char *key, const char *text) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "`%s`", key);
    if (!strstr(text, quoted)) fail_msg("docs/RECIPE.md says nothing of %s", key);
}

static void help_loads_and_names_every_key(void **state) {
    (void)state;
    char *text, *page;
    size_t size;
    sv_error err = {0};
    if (sv_recipe_help(&text, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    sv_recipe *r = read_text(text, NULL, 0);
    each_key(&sv_recipe_section, key_is_shown, text);
    sv_recipe_close(&r);
    free(text);
    assert_int_equal(sv_file_read("docs/RECIPE.md", 0, &page, &size, NULL), SV_OK);
    each_key(&sv_recipe_section, key_is_documented, page);
    for (int i = 0; sv_export_formats[i]; i++)
        for (const sv_option *o = sv_export_formats[i]->options; o && o->name; o++) key_is_documented(o->name, page);
    free(page);
}

static void the_demo_loads(void **state) {
    (void)state;
    sv_recipe *r;
    sv_error err = {0};
    if (sv_recipe_load(&r, "recipes/demo.yaml", NULL, 0, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
    assert_string_equal(r->generate.model, "recipes/../models/tabletop");
    sv_recipe_close(&r);
}

/* Files that a recipe ready to copy names as examples are replaced by ones that are there. */
static void ready_recipes_load(void **state) {
    static const char *const files[] = {"recipes/paper.yaml", "recipes/sdxl.yaml", "recipes/sd3.yaml"};
    static const char *const sets[] = {"captions.process.flagged_words_filter.flagged_words_dir=tests/golden/text/flagged_words.json",
                                       "captions.process.perplexity_filter.lm=tests/golden/language-model/en.arpa",
                                       "captions.process.perplexity_filter.spm=tests/golden/language-model/en.sp.model",
                                       "captions.process.image_text_similarity_filter.hf_clip=tests/golden/models/tiny-clip",
                                       "captions.process.image_text_matching_filter.hf_blip=tests/golden/models/tiny-blip-itm"};
    for (size_t i = 0; i < 3; i++) {
        sv_recipe *r;
        sv_error err = {0};
        if (sv_recipe_load(&r, files[i], sets, i == 0 ? 5 : 0, &err) != SV_OK) fail_msg("%s: %s", err.what, err.why);
        assert_int_equal(r->generate.size[0], 1024);
        assert_true(r->score.ssim.base == 768 && r->score.ssim.low == 336);
        assert_int_equal(r->select.by, SV_BY_WEIGHTED);
        if (i == 0) {                    /* the paper's settings, and not something near them */
            assert_int_equal(r->captions.view, SV_VIEW_DATA_JUICER);
            assert_true(r->generate.steps == 60 && r->generate.guidance == 20 && r->generate.candidates.max == 1);
            assert_string_equal(r->generate.negative, "");
            assert_string_equal(r->generate.refiner.model, "recipes/models/sdxl-refiner");
            assert_true(r->generate.refiner.at == 0.8 && r->generate.refiner.handover == SV_HANDOVER_DIFFUSERS);
            assert_true(r->score.weights.clip == 1 && r->score.weights.ssim == 0.5 && r->score.weights.scale == 0);
            assert_true(r->select.keep == 0.1);
        }
        if (i == 2) assert_true(r->generate.steps == 60 && r->generate.guidance == 10);
        sv_recipe_close(&r);
    }
}

/* What computes may be a name or a map. */
static void providers_are_names_or_maps(void **state) {
    static const char recipe[] = "captions: {sources: [{path: c.txt}]}\nscore: {weights: {clip: 0}}\ngenerate: {model: m, engine: {provider: %s}}\n";
    static const struct { const char *value, *name, *library, *options, *why; } cases[] = {
        {"openvino", "openvino", NULL, NULL, NULL},
        {"{name: openvino, library: ep/lib.so, options: {device: cpu, num_streams: 2}}", "openvino", "d/ep/lib.so", "{\"device\":\"cpu\",\"num_streams\":2}", NULL},
        {"{options: {a: 1}}", "cpu", NULL, "{\"a\":1}", NULL},
        {"null", "cpu", NULL, NULL, NULL},
        {"3", NULL, NULL, NULL, "must be a name or a map, not"},
        {"[cuda]", NULL, NULL, NULL, "must be a name or a map, not"},
        {"cuda=lib.so", NULL, NULL, NULL, "is a name"},
        {"{name: cuda, option: {}}", NULL, NULL, NULL, "unknown key"},
        {"{name: cuda, options: [1]}", NULL, NULL, NULL, "must be a map"},
        {"{name: cuda, options: {a: {b: 1}}}", NULL, NULL, NULL, "must be a text, a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        sv_recipe *r = NULL;
        sv_error err = {0};
        int n = snprintf(text, sizeof text, recipe, cases[i].value);
        sv_status st = sv_recipe_read(&r, text, (size_t)n, "r.yaml", "d", NULL, 0, &err);
        if (cases[i].why) {
            assert_int_equal(st, SV_E_RECIPE);
            if (!strstr(err.why, cases[i].why) || !strstr(err.what, "provider")) fail_msg("%s: %s: %s", cases[i].value, err.what, err.why);
            continue;
        }
        if (st != SV_OK) fail_msg("%s: %s: %s", cases[i].value, err.what, err.why);
        const sv_provider_settings *p = &r->generate.engine.provider;
        assert_string_equal(p->name, cases[i].name);
        assert_true(sv_str_eq(p->library, cases[i].library));
        if (!sv_str_eq(p->options, cases[i].options)) fail_msg("%s", p->options);
        sv_recipe_close(&r);
    }
}

/* Captions can be curated without it; what needs pictures is refused at the place where the key is missing. */
static void a_model_is_for_pictures(void **state) {
    (void)state;
    static const char captions[] = "captions:\n  sources: [{path: c.jsonl}]\n";
    static const struct { const char *generate, *place; } cases[] = {
        {"", "r.yaml:1:1: generate.model"}, {"generate: {steps: 20}\n", "r.yaml:3:1: generate.model"}, {"generate:\n  model: null\n", "r.yaml:4:10: generate.model"},
        {"generate: {model: m}\nscore: {clip: {model: clip}}\n", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        sv_error err = {0};
        snprintf(text, sizeof text, "%s%s", captions, cases[i].generate);
        sv_recipe *r = read_text(text, NULL, 0);
        assert_int_equal(sv_recipe_needs_pictures(r, &err), cases[i].place ? SV_E_RECIPE : SV_OK);
        assert_int_equal(sv_recipe_needs_pictures(r, NULL), cases[i].place ? SV_E_RECIPE : SV_OK);
        assert_string_equal(err.what, cases[i].place ? cases[i].place : "");
        sv_recipe_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_has_its_place), cmocka_unit_test(files_that_are_no_recipe), cmocka_unit_test(defaults_and_values),
        cmocka_unit_test(set_lays_values_over),
        cmocka_unit_test(copies_load_as_the_same_recipe), cmocka_unit_test(help_loads_and_names_every_key), cmocka_unit_test(the_demo_loads),
        cmocka_unit_test(ready_recipes_load), cmocka_unit_test(providers_are_names_or_maps),
        cmocka_unit_test(a_model_is_for_pictures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
