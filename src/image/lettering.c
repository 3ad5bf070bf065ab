/* lettering.c - how much of a picture looks like letters: captions, signs, watermarks, and what models draw in their place.
 *
 * Letters are two tones, with many borders between them in both directions, side by side in a line. A tile of 16 x 16 greys looks lettered if
 * - its greys differ by at least 32, and split in the middle of their range they are two groups that explain at least 82 % of its variance (Otsu 1979): a
 *   smooth run of greys explains 75 %, noise less;
 * - the border between the groups is crossed at least 1.5 times in a row and 0.75 times in a column, in the mean: an object's edge is crossed once, and
 *   stripes in one direction only;
 * - the smaller group has at least 6 % of it;
 * - and the tile to its left or to its right does, too.
 * The picture is looked at in its own size, halved and quartered, down to 64 pixels, so that larger letters are found as well; the largest share counts.
 */
#include "base/error.h"
#include "image/quality.h"

enum { TILE = 16, LEAST_SIDE = 64, SIZES = 3 };

static bool looks_lettered(const uint8_t *p, int width) {
    int low = 255, high = 0;
    int64_t sum = 0, squares = 0, upper = 0, upper_sum = 0, across = 0, down = 0;
    const int64_t n = TILE * TILE;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            int v = p[(size_t)y * (size_t)width + (size_t)x];
            if (v < low) low = v;
            if (v > high) high = v;
            sum += v;
            squares += v * v;
        }
    if (high - low < 32) return false;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            const uint8_t *at = p + (size_t)y * (size_t)width + x;
            bool light = 2 * at[0] > low + high;
            upper += light;
            upper_sum += light ? at[0] : 0;
            if (x + 1 < TILE) across += light != (2 * at[1] > low + high);
            if (y + 1 < TILE) down += light != (2 * at[width] > low + high);
        }
    int64_t lower = n - upper, apart = upper_sum * lower - (sum - upper_sum) * upper;
    if (2 * across < 3 * TILE || 4 * down < 3 * TILE || 100 * (upper < lower ? upper : lower) < 6 * n) return false;
    return 100 * apart * apart >= 82 * upper * lower * (n * squares - sum * sum);   /* at most 3e16 */
}

/* Lettered tiles of one size of the picture, of how many. */
static void count_tiles(const sv_image *grey, int64_t *lettered, int64_t *tiles) {
    int columns = grey->width / TILE, rows = grey->height / TILE;
    *lettered = 0;
    *tiles = (int64_t)columns * rows;
    for (int r = 0; r < rows; r++) {
        int run = 0;             /* lettered tiles in a row */
        for (int c = 0; c <= columns; c++) {
            bool is = c < columns && looks_lettered(grey->data + (size_t)r * TILE * (size_t)grey->width + (size_t)c * TILE, grey->width);
            if (is) run++;
            else {
                *lettered += run > 1 ? run : 0;
                run = 0;
            }
        }
    }
}

/* Half the size: the mean of two by two greys, rounded half up. */
static sv_status halve(const sv_image *in, sv_image *out, sv_error *err) {
    int w = in->width / 2, h = in->height / 2;
    SV_TRY(sv_image_alloc(out, w, h, SV_MODE_L, err));
    for (int y = 0; y < h; y++) {
        const uint8_t *a = in->data + (size_t)(2 * y) * (size_t)in->width, *b = a + in->width;
        uint8_t *to = out->data + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) to[x] = (uint8_t)((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2);
    }
    return SV_OK;
}

sv_status sv_lettered_share(const sv_image *grey, sv_quality_work *w, double *share, sv_error *err) {
    const sv_image *at = grey;
    *share = 0;
    for (int i = 0; i < SIZES && at->width >= LEAST_SIDE && at->height >= LEAST_SIDE; i++) {
        int64_t lettered, tiles;
        count_tiles(at, &lettered, &tiles);
        if ((double)lettered / (double)tiles > *share) *share = (double)lettered / (double)tiles;
        SV_TRY(halve(at, &w->halves[i & 1], err));
        at = &w->halves[i & 1];
    }
    return SV_OK;
}
