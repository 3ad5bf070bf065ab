/* test_sheet.c - contact sheets: sizes, pictures in their places, text, frames, and arguments that make no sense. */
#include "image.h"

static size_t count(const sv_image *im, int x, int y, int w, int h, uint8_t r, uint8_t g, uint8_t b) {
    size_t n = 0;
    for (int j = y; j < y + h; j++)
        for (int i = x; i < x + w; i++) {
            const uint8_t *p = im->data + 3 * (j * im->width + i);
            n += p[0] == r && p[1] == g && p[2] == b;
        }
    return n;
}

static void sheet(const sv_sheet_cell *cells, size_t n, const sv_sheet_options *o, sv_image *out) {
    sv_error err = {0};
    must(sv_sheet(cells, n, o, out, &err), &err);
    assert_int_equal(out->mode, SV_MODE_RGB);
}

static void pictures_are_shown(void **state) {
    sv_image red = {0}, wide = {0}, out = {0};
    sv_error err = {0};
    must(sv_image_alloc(&red, 100, 100, SV_MODE_RGB, &err), &err);
    for (int i = 0; i < 100 * 100; i++) memcpy(red.data + 3 * i, (uint8_t[3]){200, 10, 20}, 3);
    must(sv_image_alloc(&wide, 100, 25, SV_MODE_L, &err), &err);
    memset(wide.data, 77, 2500);
    sv_sheet_cell cells[] = {{.image = &red, .caption = "a red square", .note = "clip 0.25", .chosen = true}, {.image = &wide}, {0}};
    sv_sheet_options o;
    sv_sheet_options_init(&o);
    o.cell = 100;
    o.columns = 3;
    sheet(cells, 3, &o, &out);
    assert_int_equal(count(&out, 0, 0, out.width, out.height, 77, 77, 77), 2500);
    size_t shown = count(&out, 0, 0, out.width, out.height, 200, 10, 20); /* all of it, less the tick in its corner */
    assert_true(shown > 9500 && shown < 10000);
    size_t with = count(&out, 0, 0, out.width, out.height, 22, 138, 74);
    cells[0].chosen = false;
    sv_image plain = {0};
    sheet(cells, 3, &o, &plain);
    assert_int_equal(count(&plain, 0, 0, plain.width, plain.height, 200, 10, 20), 10000);
    assert_true(with > 300 && count(&plain, 0, 0, plain.width, plain.height, 22, 138, 74) == 0);

    /* A title makes the sheet higher, captions differ by their text, and the same input gives the same bytes. */
    sv_image titled = {0}, again = {0}, other = {0};
    o.title = "Title";
    sheet(cells, 3, &o, &titled);
    sheet(cells, 3, &o, &again);
    assert_true(titled.height > plain.height && titled.width == plain.width);
    assert_memory_equal(titled.data, again.data, sv_image_bytes(&titled));
    cells[0].caption = "a red squash";
    sheet(cells, 3, &o, &other);
    assert_true(memcmp(titled.data, other.data, sv_image_bytes(&titled)) != 0);
    sv_image *all[] = {&red, &wide, &out, &plain, &titled, &again, &other};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) sv_image_free(all[i]);
}

/* Long words, long texts, other alphabets, bytes that are not UTF-8, very many cells. */
static void difficult_text(void **state) {
    static const char *const texts[] = {"",
                                        " ",
                                        "\n\n",
                                        "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichenhersteller",
                                        "\xe7\x8c\xab \xf0\x9f\x90\x88 caf\xc3\xa9",
                                        "\xff\xfe\x80",
                                        "a b c d e f g h i j k l m n o p q r s t u v w x y z A B C D E F G H I J K L M N O P Q R S T U V W X Y Z 0 1 "
                                        "2 3 4 5 6 7 8 9 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"};
    enum { N = 60 };
    sv_sheet_cell cells[N];
    for (size_t i = 0; i < N; i++) cells[i] = (sv_sheet_cell){.caption = texts[i % 7], .note = texts[(i + 3) % 7], .chosen = i % 2};
    for (int cell = 32; cell <= 400; cell += 92)
        for (int lines = 0; lines < 12; lines += 5) {
            sv_image out = {0};
            sv_sheet_options o = {.cell = cell, .lines = lines, .title = texts[6]};
            sheet(cells, N, &o, &out);
            assert_true(out.width > out.height / 2);
            sv_image_free(&out);
        }
}

static void wrong_calls(void **state) {
    sv_sheet_cell cell = {0};
    sv_sheet_options o;
    sv_image out = {0};
    sv_error err = {0};
    sv_sheet_options_init(&o);
    assert_int_equal(sv_sheet(&cell, 0, &o, &out, &err), SV_E_USAGE);
    o.cell = 5;
    assert_int_equal(sv_sheet(&cell, 1, &o, &out, &err), SV_E_USAGE);
    o.cell = 100;
    o.columns = -1;
    assert_int_equal(sv_sheet(&cell, 1, &o, &out, &err), SV_E_USAGE);
    o.columns = 0;
    o.lines = 51;
    assert_int_equal(sv_sheet(&cell, 1, &o, &out, &err), SV_E_USAGE);
    sv_image_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_are_shown), cmocka_unit_test(difficult_text), cmocka_unit_test(wrong_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
