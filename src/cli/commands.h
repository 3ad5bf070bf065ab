/* commands.h - the table of commands: one line each, in the order of `synthvlm help`, groups together. X(NAME) stands for sv_cmd_NAME,
 * which cmd_NAME.c defines. */
#define SV_COMMANDS(X) \
    /* Datasets */     \
    X(run)             \
    X(curate)          \
    X(generate)        \
    X(score)           \
    X(select)          \
    X(export)          \
    X(status)          \
    X(show)            \
    X(diff)            \
    X(verify)          \
    X(sheet)           \
    X(embeddings)      \
    /* Text */         \
    X(caption_stats)   \
    X(calibrate)       \
    X(concepts)        \
    X(tokenize)        \
    /* Images */       \
    X(txt2img)         \
    X(clip_score)      \
    X(itm_score)       \
    X(resize)          \
    X(ssim)            \
    X(ssim_score)      \
    X(image_hash)      \
    /* Models */       \
    X(describe)        \
    X(schedule)        \
    X(noise)           \
    /* General */      \
    X(help)
