/* recipe_tables.c - every key of a recipe: its type, default, range and meaning. */
#include "recipe/recipe.h"

#define AT(type, field) offsetof(type, field)
#define ANY_POSITIVE 9.3e18   /* no upper limit but the type's own */

/* A key that a later version will have: refused as not available, rather than as unknown. */
#define LATER(key) {key, SV_OPT_JSON, .fallback = "null", .nullable = true, .later = true}

static const sv_option recipe_options[] = {
    {"name", SV_OPT_STRING, AT(sv_recipe, name), "null", .nullable = true,
     .help = "what the dataset is called; null: the recipe file's name"},
    {"seed", SV_OPT_INT, AT(sv_recipe, seed), "0", .min = 0, .max = ANY_POSITIVE,
     .help = "every random choice of the run follows from it"},
    {0}};

#define SOURCE(f) AT(sv_source_settings, f)
static const sv_option source_options[] = {
    {"path", SV_OPT_PATH, SOURCE(path), NULL, .help = "a file, also .gz or .zst; \"-\" is standard input"},
    {"format", SV_OPT_CHOICE, SOURCE(format), "auto", .choices = "auto|jsonl|json|txt|csv|tsv|llava|coco|sharegpt4v|cc3m|cc12m|parquet",
     .help = "auto: by the file's name and content"},
    {"text", SV_OPT_STRING, SOURCE(text), "caption", .help = "field or column that holds the caption"},
    {"id", SV_OPT_STRING, SOURCE(id), "id", .nullable = true,
     .help = "field or column that holds the id; a row without one is named by its text's hash"},
    {"source", SV_OPT_STRING, SOURCE(source), "null", .nullable = true,
     .help = "where the captions are from, said of every row that does not say so itself"},
    {"license", SV_OPT_STRING, SOURCE(license), "null", .nullable = true, .help = "their licence, likewise"},
    {"image", SV_OPT_STRING, SOURCE(image), "null", .nullable = true,
     .help = "captions come with a picture: field or column with its file name; null: \"image\" (coco: by image_id), if `images` is given"},
    {"images", SV_OPT_PATH, SOURCE(images), "null", .nullable = true, .help = "folder that those names are relative to; null: that of the captions file, if `image` is given"},
    {0}};

#define CAPTIONS(f) AT(sv_captions_settings, f)
static const sv_option captions_options[] = {
    {"view", SV_OPT_CHOICE, CAPTIONS(view), "bare", .choices = "bare|llava|data-juicer",
     .help = "the text that filters see: the caption, or wrapped as the published thresholds expect it"},
    {"process", SV_OPT_JSON, CAPTIONS(process), "null", .nullable = true, .choices = "a list",
     .help = "Data-Juicer's list of mappers, filters and deduplicators, in order"},
    {"sample", SV_OPT_INT, CAPTIONS(sample), "null", .nullable = true, .min = 1, .max = ANY_POSITIVE,
     .help = "draw images for at most so many kept captions, chosen by seed"},
    {0}};

#define JUDGE(f) AT(sv_judge_recipe, f)
static const sv_option judge_options[] = {
    {"url", SV_OPT_STRING, JUDGE(url), "null", .nullable = true,
     .help = "an OpenAI-compatible server, as in http://127.0.0.1:8080/v1; null: no judge"},
    {"model", SV_OPT_STRING, JUDGE(model), "null", .nullable = true, .help = "the model's name there"},
    {"prompt", SV_OPT_PATH, JUDGE(prompt), "null", .nullable = true,
     .help = "a text file; {caption} stands for the caption; null: the grade's own question"},
    {"grade", SV_OPT_CHOICE, JUDGE(grade), "yes_no", .choices = "yes_no|score",
     .help = "yes_no: a vote, P(yes) where the server gives log probabilities; score: 1 to 5"},
    {"min", SV_OPT_REAL, JUDGE(min), "null", .nullable = true, .min = 0, .max = 5,
     .help = "captions below are rejected; null: 0.5 for yes_no, 3 for score"},
    {"api_key_env", SV_OPT_STRING, JUDGE(api_key_env), "null", .nullable = true,
     .help = "name of the environment variable that holds the key; null: no key"},
    {"timeout", SV_OPT_REAL, JUDGE(timeout), "60", .min = 0.1, .max = 3600, .help = "seconds of one request"},
    {"concurrency", SV_OPT_INT, JUDGE(concurrency), "16", .min = 1, .max = 512, .help = "requests at once, at most; adapted to the server"},
    {"retries", SV_OPT_INT, JUDGE(retries), "4", .min = 0, .max = 100, .help = "more requests for a caption whose first one the server failed"},
    {"max_tokens", SV_OPT_INT, JUDGE(max_tokens), "16", .min = 1, .max = 100000, .help = "length of an answer"},
    {"temperature", SV_OPT_REAL, JUDGE(temperature), "0", .min = 0, .max = 2, .help = "0: the likeliest answer"},
    {"seed", SV_OPT_INT, JUDGE(seed), "0", .nullable = true, .min = 0, .max = ANY_POSITIVE, .help = "sent along; null: not sent"},
    {0}};

#define IMAGE(f) AT(sv_image_settings, f)
static const sv_option image_options[] = {
    {"format", SV_OPT_CHOICE, IMAGE(format), "jpeg", .choices = "jpeg|png|webp", .help = "file format of the images"},
    {"quality", SV_OPT_INT, IMAGE(quality), "95", .min = 1, .max = 100, .help = "of jpeg and webp; 100 is lossless for webp"},
    {0}};

#define ENGINE(f) AT(sv_engine_settings, f)
static const sv_option engine_options[] = {
    {"threads_per_image", SV_OPT_AUTO_INT, ENGINE(threads_per_image), "auto", .min = 1, .max = 1024, .help = "threads inside one call of the model"},
    {"workers", SV_OPT_AUTO_INT, ENGINE(workers), "auto", .min = 1, .max = 1024,
     .help = "images drawn at the same time; changes no byte of the result"},
    {"batch", SV_OPT_AUTO_INT, ENGINE(batch), "auto", .min = 1, .max = 64, .help = "images per call of the model"},
    {"text_chunk", SV_OPT_INT, ENGINE(text_chunk), "null", .nullable = true, .min = 1, .max = 4096,
     .help = "to save memory: so many captions are encoded, the text encoders are let go, then they are drawn; null: both at once"},
    {0}};

#define PROVIDER(f) AT(sv_provider_settings, f)
static const sv_option provider_options[] = {
    {"name", SV_OPT_STRING, PROVIDER(name), "cpu", .help = "cpu, cuda, tensorrt, openvino, webgpu, coreml…: docs/MODELS.md"},
    {"library", SV_OPT_PATH, PROVIDER(library), "null", .nullable = true, .help = "the file of a provider that comes as a plugin; null: it is built in"},
    {"options", SV_OPT_JSON, PROVIDER(options), "null", .nullable = true, .choices = "a mapping",
     .help = "its own options by name; for a plugin also device: cpu, gpu or npu"},
    {0}};
static const sv_section engine_sections[] = {
    {"provider", SV_SECTION_MAP, provider_options, ENGINE(provider), .item_size = sizeof(sv_provider_settings), .plain = "name",
     .help = "execution provider of ONNX Runtime; or a map, for plugins and options"},
    {0}};

#define GENERATE(f) AT(sv_generate_settings, f)
static const sv_option generate_options[] = {
    {"source", SV_OPT_CHOICE, GENERATE(source), "model", .choices = "model|captions",
     .help = "captions: nothing is drawn; each caption's own picture is its one candidate, for a control set"},
    {"model", SV_OPT_PATH, GENERATE(model), "null", .nullable = true, .help = "a directory in diffusers layout with ONNX parts; not needed to curate captions, or if source is captions"},
    {"prompt", SV_OPT_STRING, GENERATE(prompt), "{caption}", .help = "what the model is told; {caption} stands for the caption"},
    {"negative", SV_OPT_STRING, GENERATE(negative), "null", .nullable = true,
     .help = "negative prompt; null: none, which is not the same as \"\" for every model"},
    {"retries", SV_OPT_INT, GENERATE(retries), "2", .min = 0, .max = 1000, .help = "more seeds for a caption whose candidates failed"},
    {"size", SV_OPT_SIZE, GENERATE(size), "null", .nullable = true, .help = "of the images; null: the model's own"},
    {"steps", SV_OPT_INT, GENERATE(steps), "50", .min = 1, .max = 1000, .help = "denoising steps"},
    {"guidance", SV_OPT_REAL, GENERATE(guidance), "7.5", .min = 0, .max = 1000, .help = "classifier-free guidance; 1 or less: none"},
    {"guidance_rescale", SV_OPT_REAL, GENERATE(guidance_rescale), "0", .min = 0, .max = 1,
     .help = "share of rescaled guidance, for models with zero terminal SNR"},
    {"eta", SV_OPT_REAL, GENERATE(eta), "0", .min = 0, .max = 1, .help = "noise added by the DDIM scheduler"},
    {"scheduler", SV_OPT_JSON, GENERATE(scheduler), "null", .nullable = true, .choices = "a name or a mapping",
     .help = "a class name or short name, or a map of keys laid over the model's config; null: the model's own"},
    {"long_captions", SV_OPT_CHOICE, GENERATE(long_captions), "cut", .choices = "cut|refuse|windows",
     .help = "prompts longer than the text encoder takes: cut and recorded, not drawn, or encoded in several windows"},
    {"clip_skip", SV_OPT_INT, GENERATE(clip_skip), "0", .min = 0, .max = 100,
     .help = "layers of the CLIP text encoders left out at the end, beyond what the model leaves out anyway"},
    {"metadata", SV_OPT_BOOL, GENERATE(metadata), "true",
     .help = "image files say that they are generated, with prompt, seed, model and settings (XMP; PNG also as text)"},
    {"guidance_interval", SV_OPT_JSON, GENERATE(guidance_interval), "null", .nullable = true, .choices = "a list of two numbers",
     .help = "[from, until]: shares of the steps between which guidance acts; outside only one prediction is computed. null: everywhere"},
    {"vae_tiling", SV_OPT_CHOICE, GENERATE(vae_tiling), "off", .choices = "off|auto|on",
     .help = "large images are decoded in overlapping tiles, which takes less memory. auto: those of more than 1.5 million pixels"},
    {"vae_tile", SV_OPT_INT, GENERATE(vae_tile), "null", .nullable = true, .min = 16, .max = 8192, .help = "side of a tile in pixels; null: the decoder's own size"},
    LATER("server"),
    {0}};
#define CANDIDATES(f) AT(sv_candidates_settings, f)
static const sv_option candidates_options[] = {
    {"max", SV_OPT_INT, CANDIDATES(max), "4", .min = 1, .max = 1000, .help = "images per caption; with stop_at or drop_below: at most"},
    {"min", SV_OPT_INT, CANDIDATES(min), "null", .nullable = true, .min = 1, .max = 1000, .help = "images that every caption gets before any is judged; null: 1"},
    {"step", SV_OPT_INT, CANDIDATES(step), "1", .min = 1, .max = 1000, .help = "more images for every caption that goes on, from round to round"},
    {"stop_at", SV_OPT_REAL, CANDIDATES(stop_at), "null", .nullable = true,
     .help = "a caption whose best image has this weighted score needs no more; null: all get max"},
    {"budget", SV_OPT_REAL, CANDIDATES(budget), "null", .nullable = true, .min = 1, .max = 1000,
     .help = "images per caption on average, at most; null: half of max, at least min"},
    {"drop_below", SV_OPT_REAL, CANDIDATES(drop_below), "null", .nullable = true,
     .help = "a caption whose best image stays below this weighted score is dropped; null: none is"},
    {"drop_after", SV_OPT_INT, CANDIDATES(drop_after), "null", .nullable = true, .min = 1, .max = 1000,
     .help = "images after which drop_below counts; null: max"},
    {0}};
#define PRUNE(f) AT(sv_prune_settings, f)
static const sv_option prune_options[] = {
    {"at", SV_OPT_JSON, PRUNE(at), "null", .nullable = true,
     .help = "share of the steps, or a list of them, after which half-drawn images of a caption are compared; null: never"},
    {"keep", SV_OPT_REAL, PRUNE(keep), "0.5", .min = 0.01, .max = 1, .help = "share of them that is drawn on, each time"},
    {0}};
#define REFINER(f) AT(sv_refiner_settings, f)
static const sv_option refiner_options[] = {
    {"model", SV_OPT_PATH, REFINER(model), "null", .nullable = true, .help = "directory of an SDXL refiner; null: none"},
    {"at", SV_OPT_REAL, REFINER(at), "0.8", .min = 0.001, .max = 0.999, .help = "share of the schedule after which it takes over"},
    {"handover", SV_OPT_CHOICE, REFINER(handover), "diffusers", .choices = "diffusers|synthvlm",
     .help = "diffusers: as documented; synthvlm: as the SynthVLM program calls it, which leaves noise"},
    {"aesthetic_score", SV_OPT_REAL, REFINER(aesthetic_score), "6", .min = -100, .max = 100, .help = "what it is told to aim at"},
    {"negative_aesthetic_score", SV_OPT_REAL, REFINER(negative_aesthetic_score), "2.5", .min = -100, .max = 100, .help = "and to keep away from"},
    {0}};
static const sv_section generate_sections[] = {
    {"candidates", SV_SECTION_MAP, candidates_options, GENERATE(candidates), .item_size = sizeof(sv_candidates_settings), .plain = "max",
     .help = "images drawn per caption; or a map, for a number that follows the scores"},
    {"prune", SV_SECTION_MAP, prune_options, GENERATE(prune), .help = "giving up images that do not promise much, half-drawn"},
    {"refiner", SV_SECTION_MAP, refiner_options, GENERATE(refiner), .help = "a second model that finishes what the first begins"},
    {"image", SV_SECTION_MAP, image_options, GENERATE(image), .help = "image files"},
    {"engine", SV_SECTION_MAP, engine_options, GENERATE(engine), .children = engine_sections, .help = "how the model is run; auto is measured once and written down"},
    {0}};

#define CLIP(f) AT(sv_clip_settings, f)
static const sv_option clip_options[] = {
    {"model", SV_OPT_PATH, CLIP(model), "null", .nullable = true,
     .help = "a CLIP directory in transformers layout with ONNX parts; null: no CLIPScore"},
    {"flavour", SV_OPT_STRING, CLIP(flavour), "synthvlm", .help = "whose CLIPScore: sets prefix, clean-up, preprocessing and scale"},
    {"prefix", SV_OPT_STRING, CLIP(prefix), "null", .nullable = true, .help = "put before every caption; null: the flavour's"},
    {"window", SV_OPT_BOOL, CLIP(window), "false", .help = "a caption longer than the model's row is read in windows, and their mean taken, instead of being cut"},
    {"keep", SV_OPT_BOOL, CLIP(keep), "false",
     .help = "keep the images' embeddings: another prefix or flavour then needs no image again, and `synthvlm embeddings` has something to read"},
    {0}};
#define HELD(f) AT(sv_held_out_settings, f)
static const sv_option held_out_options[] = {
    {"model", SV_OPT_PATH, HELD(model), "null", .nullable = true, .help = "a CLIP directory, another than clip.model; null: none"},
    {"flavour", SV_OPT_STRING, HELD(flavour), "synthvlm", .help = "as in clip"},
    {"prefix", SV_OPT_STRING, HELD(prefix), "null", .nullable = true, .help = "as in clip"},
    {"window", SV_OPT_BOOL, HELD(window), "false", .help = "as in clip"},
    {0}};
#define ASKED(f) AT(sv_image_judge_settings, f)
static const sv_option judge_image_options[] = {
    {"url", SV_OPT_STRING, ASKED(chat.url), "null", .nullable = true, .help = "an OpenAI-compatible server with a vision model; null: none is asked"},
    {"model", SV_OPT_STRING, ASKED(chat.model), "null", .nullable = true, .help = "the model's name there"},
    {"prompt", SV_OPT_PATH, ASKED(chat.prompt), "null", .nullable = true, .help = "a text file; {caption} stands for the caption; null: \"does this picture show …\""},
    {"ask", SV_OPT_CHOICE, ASKED(ask), "picks", .choices = "picks|eligible|all", .help = "about which images: those selected, those that may be, or every one"},
    {"use", SV_OPT_CHOICE, ASKED(use), "held_out", .choices = "held_out|veto|tie_break",
     .help = "held_out: only told; veto: below min it is not selected; tie_break: decides between images of a caption that score alike"},
    {"min", SV_OPT_REAL, ASKED(min), "0.5", .min = 0, .max = 1, .help = "veto: least P(yes)"},
    {"tie", SV_OPT_REAL, ASKED(tie), "0.01", .min = 0, .max = 1000, .help = "tie_break: scores that are no farther from the caption's best"},
    {"side", SV_OPT_INT, ASKED(side), "768", .min = 16, .max = 8192, .help = "larger images are sent reduced to this"},
    {"api_key_env", SV_OPT_STRING, ASKED(chat.api_key_env), "null", .nullable = true,
     .help = "name of the environment variable that holds the key; null: no key"},
    {"timeout", SV_OPT_REAL, ASKED(chat.timeout), "60", .min = 0.1, .max = 3600, .help = "seconds of one request"},
    {"concurrency", SV_OPT_INT, ASKED(chat.concurrency), "8", .min = 1, .max = 512, .help = "requests at once, at most; adapted to the server"},
    {"retries", SV_OPT_INT, ASKED(chat.retries), "4", .min = 0, .max = 100, .help = "more requests for an image whose first one the server failed"},
    {"max_tokens", SV_OPT_INT, ASKED(chat.max_tokens), "16", .min = 1, .max = 100000, .help = "length of an answer"},
    {"temperature", SV_OPT_REAL, ASKED(chat.temperature), "0", .min = 0, .max = 2, .help = "0: the likeliest answer"},
    {"seed", SV_OPT_INT, ASKED(chat.seed), "0", .nullable = true, .min = 0, .max = ANY_POSITIVE, .help = "sent along; null: not sent"},
    {0}};
#define SSIM(f) AT(sv_ssim_settings, f)
static const sv_option ssim_options[] = {
    {"base", SV_OPT_INT, SSIM(base), "768", .min = 7, .max = 8192, .help = "side in pixels at which images are compared"},
    {"low", SV_OPT_INT, SSIM(low), "336", .min = 1, .max = 8192, .help = "side to which one of the two is reduced before"},
    {0}};
#define SHARPNESS(f) AT(sv_sharpness_settings, f)
static const sv_option sharpness_options[] = {
    {"side", SV_OPT_INT, SHARPNESS(side), "256", .min = 3, .max = 8192, .help = "side in pixels at which sharpness is measured"},
    {0}};
#define GATE(f) AT(sv_gate_settings, f)
static const sv_option gate_options[] = {
    {"black", SV_OPT_INT, GATE(black), "null", .nullable = true, .min = 0, .max = 255,
     .help = "not brighter than this grey in 99 of 100 pixels; 16 is sensible; null: off"},
    {"flat", SV_OPT_REAL, GATE(flat), "null", .nullable = true, .min = 0, .max = 1,
     .help = "a smaller share of its blocks has any structure; 0.02 is sensible; null: off"},
    {"safety", SV_OPT_CHOICE, GATE(safety), "auto", .choices = "auto|always|never",
     .help = "flagged by the model's safety checker; auto: if the model has one as ONNX; always: it must have one"},
    {"duplicate", SV_OPT_INT, GATE(duplicate), "null", .nullable = true, .min = 0, .max = 12,
     .help = "pHash and dHash both differ from another candidate's in so many of 64 bits at most; 2 is sensible; null: off"},
    {"benchmark", SV_OPT_PATH, GATE(benchmark), "null", .nullable = true,
     .help = "repeats one of these: a folder of pictures, or a file of hashes by synthvlm image-hash; null: off"},
    {"benchmark_distance", SV_OPT_INT, GATE(benchmark_distance), "4", .min = 0, .max = 12, .help = "bits of 64 in which both hashes may differ"},
    {0}};
#define WEIGHT(f) AT(sv_weight_settings, f)
static const sv_option weight_options[] = {
    {"clip", SV_OPT_REAL, WEIGHT(clip), "1.0", .min = 0, .max = 1e6, .help = "weight of CLIPScore"},
    {"ssim", SV_OPT_REAL, WEIGHT(ssim), "0.5", .min = 0, .max = 1e6, .help = "weight of SSIMScore"},
    {"clean", SV_OPT_REAL, WEIGHT(clean), "0", .min = 0, .max = 1e6, .help = "weight of freedom from JPEG blocks"},
    {"colour", SV_OPT_REAL, WEIGHT(colour), "0", .min = 0, .max = 1e6, .help = "weight of variety of colours"},
    {"contrast", SV_OPT_REAL, WEIGHT(contrast), "0", .min = 0, .max = 1e6, .help = "weight of range of brightness"},
    {"detail", SV_OPT_REAL, WEIGHT(detail), "0", .min = 0, .max = 1e6, .help = "weight of share that is not flat"},
    {"exposure", SV_OPT_REAL, WEIGHT(exposure), "0", .min = 0, .max = 1e6, .help = "weight of exposure"},
    {"sharpness", SV_OPT_REAL, WEIGHT(sharpness), "0", .min = 0, .max = 1e6, .help = "weight of sharpness"},
    {"unmarked", SV_OPT_REAL, WEIGHT(unmarked), "0", .min = 0, .max = 1e6, .help = "weight of freedom from letters and watermarks"},
    {"itm", SV_OPT_REAL, WEIGHT(itm), "0", .min = 0, .max = 1e6, .help = "weight of BLIP's probability of a match"},
    {"scale", SV_OPT_CHOICE, WEIGHT(scale), "raw", .choices = "raw|2.5", .help = "the CLIP term is the cosine, or 2.5 times it"},
    {0}};
#define SCORE(f) AT(sv_score_settings, f)
static const sv_option score_options[] = {
    {"pillow", SV_OPT_INT, SCORE(pillow), "13", .min = 11, .max = 13, .help = "resize as Pillow 13 or, with 11, as Pillow 11 and older"},
    {"also", SV_OPT_JSON, SCORE(also), "null", .nullable = true, .choices = "a list of names",
     .help = "scores to compute although nothing uses them, as in [sharpness, contrast]: docs/SCORES.md"},
    {0}};
#define ITM(f) AT(sv_itm_settings, f)
static const sv_option itm_options[] = {
    {"model", SV_OPT_PATH, ITM(model), "null", .nullable = true, .help = "a BLIP matching model as ONNX; null: none"},
    {0}};
static const sv_section score_sections[] = {
    {"clip", SV_SECTION_MAP, clip_options, SCORE(clip), .help = "how well image and caption agree"},
    {"itm", SV_SECTION_MAP, itm_options, SCORE(itm), .help = "BLIP's probability that the caption describes the image"},
    {"held_out", SV_SECTION_MAP, held_out_options, SCORE(held_out), .help = "a second CLIP that is reported and never selects"},
    {"judge_image", SV_SECTION_MAP, judge_image_options, SCORE(judge_image), .help = "a vision model's word on whether an image shows its caption"},
    {"ssim", SV_SECTION_MAP, ssim_options, SCORE(ssim), .help = "how much of an image survives reduction"},
    {"sharpness", SV_SECTION_MAP, sharpness_options, SCORE(sharpness), .help = "how sharp an image is"},
    {"gates", SV_SECTION_MAP, gate_options, SCORE(gates),
     .help = "images that count as failed, so that the next seed is tried; other gates draw anew"},
    {"weights", SV_SECTION_MAP, weight_options, SCORE(weights), .help = "the weighted score"},
    {0}};

#define MIN(f) AT(sv_min_settings, f)
static const sv_option min_options[] = {
    {"clip", SV_OPT_REAL, MIN(clip), "null", .nullable = true, .min = -1, .max = 1, .help = "least raw cosine"},
    {"ssim", SV_OPT_REAL, MIN(ssim), "null", .nullable = true, .min = -1, .max = 1, .help = "least SSIMScore"},
    {"clean", SV_OPT_REAL, MIN(clean), "null", .nullable = true, .min = 0, .max = 1, .help = "least freedom from JPEG blocks"},
    {"colour", SV_OPT_REAL, MIN(colour), "null", .nullable = true, .min = 0, .max = 1, .help = "least variety of colours"},
    {"contrast", SV_OPT_REAL, MIN(contrast), "null", .nullable = true, .min = 0, .max = 1, .help = "least range of brightness"},
    {"detail", SV_OPT_REAL, MIN(detail), "null", .nullable = true, .min = 0, .max = 1, .help = "least share that is not flat"},
    {"exposure", SV_OPT_REAL, MIN(exposure), "null", .nullable = true, .min = 0, .max = 1, .help = "least exposure"},
    {"sharpness", SV_OPT_REAL, MIN(sharpness), "null", .nullable = true, .min = 0, .max = 1, .help = "least sharpness"},
    {"unmarked", SV_OPT_REAL, MIN(unmarked), "null", .nullable = true, .min = 0, .max = 1, .help = "least freedom from letters and watermarks"},
    {"itm", SV_OPT_REAL, MIN(itm), "null", .nullable = true, .min = 0, .max = 1, .help = "least probability of a match"},
    {"weighted", SV_OPT_REAL, MIN(weighted), "null", .nullable = true, .help = "least weighted score"},
    {0}};
#define SELECT(f) AT(sv_select_settings, f)
static const sv_option select_options[] = {
    {"by", SV_OPT_CHOICE, SELECT(by), "weighted", .choices = "weighted|clip|ssim|random|clean|colour|contrast|detail|exposure|sharpness|unmarked|itm",
     .help = "the score that ranks"},
    {"per_caption", SV_OPT_INT, SELECT(per_caption), "1", .min = 1, .max = 1000, .help = "best so many candidates of each caption"},
    {"keep", SV_OPT_REAL, SELECT(keep), "null", .nullable = true, .min = 0, .max = 1, .help = "top share of the captions, as 10% or 0.1"},
    {"count", SV_OPT_INT, SELECT(count), "null", .nullable = true, .min = 1, .max = ANY_POSITIVE, .help = "exactly so many pairs, instead of keep"},
    {"quotas", SV_OPT_JSON, SELECT(quotas), "null", .nullable = true, .choices = "a map",
     .help = "most and least pairs of a source or concept, as in {source: {coco: 40%, web: {min: 100}}}"},
    {"include", SV_OPT_PATH, SELECT(include), "null", .nullable = true, .help = "a file of candidates, as 000000012-2, to be picked whatever their scores"},
    {"exclude", SV_OPT_PATH, SELECT(exclude), "null", .nullable = true, .help = "a file of candidates that are not to be picked"},
    {0}};
#define DEDUP(f) AT(sv_dedup_settings, f)
static const sv_option dedup_options[] = {
    {"hash", SV_OPT_CHOICE, DEDUP(hash), "none", .choices = "none|phash|dhash", .help = "perceptual hash by which images are compared"},
    {"distance", SV_OPT_INT, DEDUP(distance), "4", .min = 0, .max = 12, .help = "bits of 64 that may differ; 0: equal hashes only"},
    {0}};
static const sv_section select_sections[] = {
    {"min", SV_SECTION_MAP, min_options, SELECT(min), .help = "candidates below are not eligible"},
    {"dedup", SV_SECTION_MAP, dedup_options, SELECT(dedup), .help = "of images that look alike, only the best stays"},
    {0}};

#define CONCEPT(f) AT(sv_concept_settings, f)
static const sv_option concept_options[] = {
    {"list", SV_OPT_STRING, CONCEPT(list), "null", .nullable = true, .help = "a ready list by name: objects, colours, counts or relations"},
    {"file", SV_OPT_PATH, CONCEPT(file), "null", .nullable = true, .help = "a list of your own, lines such as  dog: dog, dogs, puppy"},
    {"name", SV_OPT_STRING, CONCEPT(name), "null", .nullable = true, .help = "one concept; alone, sets the limits of a concept of the lists above"},
    {"words", SV_OPT_JSON, CONCEPT(words), "null", .nullable = true, .help = "its words and phrases, a list; upper and lower case are one"},
    {"pattern", SV_OPT_STRING, CONCEPT(pattern), "null", .nullable = true, .help = "or a regular expression (PCRE2) that finds it"},
    {"cap", SV_OPT_INT, CONCEPT(cap), "null", .nullable = true, .min = 0, .max = ANY_POSITIVE, .help = "of each of these concepts; null: balance.cap"},
    {"quota", SV_OPT_REAL, CONCEPT(quota), "null", .nullable = true, .min = 0, .max = ANY_POSITIVE,
     .help = "at least so many captions of each, where there are; below 1: that share of the sample"},
    {0}};
#define BALANCE(f) AT(sv_balance_settings, f)
static const sv_option balance_options[] = {
    {"cap", SV_OPT_INT, BALANCE(cap), "null", .nullable = true, .min = 0, .max = ANY_POSITIVE,
     .help = "captions of one concept, about; a rarer concept keeps all of its own; null: no cap"},
    {"others", SV_OPT_INT, BALANCE(others), "null", .nullable = true, .min = 0, .max = ANY_POSITIVE,
     .help = "cap of the captions without any concept; null: all are kept"},
    {"draws", SV_OPT_CHOICE, BALANCE(draws), "once", .choices = "once|each",
     .help = "once: a caption has one lot, and its rarest concept decides; each: a lot for each concept, as MetaCLIP draws"},
    {0}};
static const sv_section balance_sections[] = {
    {"concepts", SV_SECTION_LIST, concept_options, BALANCE(concepts), BALANCE(count), sizeof(sv_concept_settings), .optional = true,
     .help = "what captions speak of: docs/BALANCE.md"},
    {0}};

static const sv_option against_options[] = {
    {"path", SV_OPT_PATH, AT(sv_against_settings, path), NULL, .help = "a benchmark's file: txt, jsonl or json, also .gz or .zst; the name alone will do"},
    {"fields", SV_OPT_JSON, AT(sv_against_settings, fields), "null", .nullable = true, .choices = "a name or a list of names",
     .help = "JSON fields that hold its texts; null: question, answer, caption and the like"},
    {0}};
#define CLEAN(f) AT(sv_decontaminate_settings, f)
static const sv_option decontaminate_options[] = {
    {"ngram", SV_OPT_INT, CLEAN(ngram), "13", .nullable = true, .min = 2, .max = 1000,
     .help = "a caption that has so many words in a row from a text repeats it; null: only the whole text counts"},
    {0}};
static const sv_option decontaminate_minhash_options[] = {
    {"jaccard_threshold", SV_OPT_REAL, AT(sv_decontaminate_settings, minhash.jaccard_threshold), "0.7", .nullable = true, .min = 0.01, .max = 1,
     .help = "share of common word groups from which on a caption repeats a text; null: no near-duplicates"},
    {"window_size", SV_OPT_INT, AT(sv_decontaminate_settings, minhash.window_size), "5", .min = 1, .max = 1000, .help = "words of a group"},
    {"num_permutations", SV_OPT_INT, AT(sv_decontaminate_settings, minhash.num_permutations), "256", .min = 16, .max = 4096, .help = "length of a signature"},
    {0}};
static const sv_section decontaminate_sections[] = {
    {"against", SV_SECTION_LIST, against_options, CLEAN(against), CLEAN(count), sizeof(sv_against_settings), .plain = "path", .optional = true,
     .help = "files of benchmarks: docs/FILTERS.md"},
    {"minhash", SV_SECTION_MAP, decontaminate_minhash_options, 0, .help = "near-duplicates, of any length from one word group on"},
    {0}};

static const sv_section captions_sections[] = {
    {"sources", SV_SECTION_LIST, source_options, CAPTIONS(sources), CAPTIONS(source_count), sizeof(sv_source_settings),
     .help = "the files with captions"},
    {"decontaminate", SV_SECTION_MAP, decontaminate_options, CAPTIONS(decontaminate), .children = decontaminate_sections,
     .help = "captions that repeat a benchmark's text are rejected"},
    {"judge", SV_SECTION_MAP, judge_options, CAPTIONS(judge), .help = "a language model's word on every caption that the list keeps"},
    {"balance", SV_SECTION_MAP, balance_options, CAPTIONS(balance), .children = balance_sections,
     .help = "limits for what many captions speak of, before the sample is drawn"},
    {0}};

static const sv_section recipe_sections[] = {
    {"captions", SV_SECTION_MAP, captions_options, AT(sv_recipe, captions), .children = captions_sections,
     .help = "where captions come from and which are kept"},
    {"generate", SV_SECTION_MAP, generate_options, AT(sv_recipe, generate), .children = generate_sections, .help = "how images are drawn"},
    {"score", SV_SECTION_MAP, score_options, AT(sv_recipe, score), .children = score_sections, .help = "how candidates are scored"},
    {"select", SV_SECTION_MAP, select_options, AT(sv_recipe, select), .children = select_sections,
     .help = "which candidates become pairs of the dataset"},
    {"export", SV_SECTION_EXPORTS, NULL, AT(sv_recipe, exports), AT(sv_recipe, export_count), sizeof(sv_export_settings),
     .help = "formats in which the dataset is written"},
    {0}};

const sv_section sv_recipe_section = {"", SV_SECTION_MAP, recipe_options, 0, .children = recipe_sections, .help = ""};
