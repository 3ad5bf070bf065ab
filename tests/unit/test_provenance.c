/* What picture files say of their making: the fields are there, any text is well-formed, the pixels are unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "image.h"
#include "image/provenance.h"

static const sv_provenance plain = {.prompt = "a red cube", .negative = "blurry", .model = "Stable Diffusion XL", .model_hash = "0123456789abcdef",
                                    .scheduler = "EulerDiscreteScheduler", .settings = "{\"width\":8}", .seed = 4294967295u, .steps = 20, .guidance = 5.5};

static char *packet(const sv_provenance *p, size_t *size) {
    sv_buf b = {0};
    sv_provenance_xmp(p, &b);
    assert_false(b.failed);
    *size = b.size;
    return b.data;
}

static void fields_are_there(void **state) {
    size_t n;
    char *xmp = packet(&plain, &n);
    assert_non_null(strstr(xmp, "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia<"));
    assert_non_null(strstr(xmp, "<Iptc4xmpExt:AIPromptInformation>a red cube<"));
    assert_non_null(strstr(xmp, "<rdf:li xml:lang=\"x-default\">a red cube<"));
    assert_non_null(strstr(xmp, "<synthvlm:negativePrompt>blurry<"));
    assert_non_null(strstr(xmp, "<synthvlm:seed>4294967295<"));
    assert_non_null(strstr(xmp, "<synthvlm:guidance>5.5<"));
    assert_non_null(strstr(xmp, "<synthvlm:settings>{\"width\":8}<"));
    assert_null(strstr(xmp, "synthvlm:cut"));
    free(xmp);
    sv_provenance none = {.prompt = "x"};
    xmp = packet(&none, &n);
    assert_null(strstr(xmp, "negativePrompt"));
    assert_null(strstr(xmp, "modelHash"));
    free(xmp);
}

/* Every code point of XML 1.0 passes, markup is escaped, everything else is U+FFFD. */
static void any_text_is_well_formed(void **state) {
    static const struct { const char *in, *out; } cases[] = {
        {"a < b && c > \"d\"", "a &lt; b &amp;&amp; c &gt; \"d\""},
        {"]]>", "]]&gt;"},
        {"one\r\ntwo\tthree", "one&#xD;\ntwo\tthree"},
        {"bell \a, escape \x1b, delete \x7f", "bell \xEF\xBF\xBD, escape \xEF\xBF\xBD, delete \xEF\xBF\xBD"},
        {"\xff\xfe raw", "\xEF\xBF\xBD\xEF\xBF\xBD raw"},
        {"surrogate \xED\xA0\x80", "surrogate \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"U+FFFE \xEF\xBF\xBE", "U+FFFE \xEF\xBF\xBD"},
        {"caf\xC3\xA9 \xF0\x9F\x90\x88", "caf\xC3\xA9 \xF0\x9F\x90\x88"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sv_provenance p = {.prompt = cases[i].in};
        sv_buf wanted = {0};
        size_t n;
        char *xmp = packet(&p, &n);
        sv_buf_printf(&wanted, "<Iptc4xmpExt:AIPromptInformation>%s</Iptc4xmpExt:AIPromptInformation>", cases[i].out);
        if (!strstr(xmp, wanted.data)) fail_msg("%s became %s", cases[i].in, strstr(xmp, "<Iptc4xmpExt:AIP"));
        assert_int_equal(sv_utf8_valid(xmp, n), n);
        sv_buf_free(&wanted);
        free(xmp);
    }
}

static char *repeated(const char *what, size_t times) {
    sv_buf b = {0};
    for (size_t i = 0; i < times; i++) sv_buf_puts(&b, what);
    assert_false(b.failed);
    return b.data;
}

/* However long the texts are, the packet fits one segment of a JPEG, says what was cut, and has no half of a character. */
static void long_texts_are_cut(void **state) {
    char *ampersands = repeated("&", 40000), *cats = repeated("\xF0\x9F\x90\x88", 40000), *json = repeated("{}", 40000);
    sv_provenance p = {.prompt = ampersands, .negative = cats, .model = json, .model_hash = json, .scheduler = json, .settings = json, .seed = UINT64_MAX};
    size_t n, shorter;
    char *xmp = packet(&p, &n);
    assert_true(n > 40000 && n <= SV_XMP_MOST);
    assert_non_null(strstr(xmp, "<synthvlm:cut>prompt negativePrompt settings </synthvlm:cut>"));
    assert_null(strstr(xmp, "synthvlm:settings"));
    assert_int_equal(sv_utf8_valid(xmp, n), n);
    free(xmp);
    p = (sv_provenance){.prompt = cats};
    xmp = packet(&p, &shorter);
    assert_int_equal(sv_utf8_valid(xmp, shorter), shorter);
    assert_non_null(strstr(xmp, "<synthvlm:cut>prompt </synthvlm:cut>"));
    free(xmp);
    free(ampersands);
    free(cats);
    free(json);
}

static void pixels_are_unchanged(void **state) {
    static const struct { sv_format format; sv_mode mode; int quality; } kinds[] = {
        {SV_FORMAT_JPEG, SV_MODE_RGB, 90}, {SV_FORMAT_PNG, SV_MODE_RGB, 90},   {SV_FORMAT_PNG, SV_MODE_L, 90},      {SV_FORMAT_WEBP, SV_MODE_RGB, 100},
        {SV_FORMAT_WEBP, SV_MODE_RGB, 80}, {SV_FORMAT_WEBP, SV_MODE_RGBA, 80}, {SV_FORMAT_WEBP, SV_MODE_RGBA, 100},
    };
    static const int sides[][2] = {{1, 1}, {17, 31}, {300, 2}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
            sv_image im = {0}, bare = {0}, with = {0};
            sv_encode_options o;
            sv_error err = {0};
            uint8_t *a, *b, *again;
            size_t an, bn, more;
            fill(&im, sides[s][0], sides[s][1], kinds[i].mode, (unsigned)i + 1);
            sv_encode_options_init(&o, kinds[i].format);
            o.quality = kinds[i].quality;
            must(sv_image_encode(&im, &o, &a, &an, &err), &err);
            o.provenance = &plain;
            must(sv_image_encode(&im, &o, &b, &bn, &err), &err);
            must(sv_image_encode(&im, &o, &again, &more, &err), &err);
            assert_true(bn > an && bn == more);
            assert_memory_equal(b, again, bn);
            assert_non_null(memmem(b, bn, "trainedAlgorithmicMedia", 23));
            must(sv_image_decode(&bare, a, an, "bare", &err), &err);
            must(sv_image_decode(&with, b, bn, "with", &err), &err);
            assert_int_equal(bare.mode, with.mode);
            assert_int_equal(bare.width, with.width);
            assert_int_equal(bare.height, with.height);
            assert_memory_equal(bare.data, with.data, (size_t)bare.width * (size_t)bare.height * (size_t)sv_mode_channels(bare.mode));
            free(a);
            free(b);
            free(again);
            sv_image_free(&im);
            sv_image_free(&bare);
            sv_image_free(&with);
        }
}

static void parameters_for_browsers(void **state) {
    sv_buf b = {0};
    sv_provenance p = plain;
    sv_provenance_parameters(&p, 128, 64, &b);
    assert_string_equal(b.data, "a red cube\nNegative prompt: blurry\nSteps: 20, Sampler: EulerDiscreteScheduler, CFG scale: 5.5, Seed: 4294967295, Size: 128x64, "
                                "Model hash: 0123456789, Model: Stable Diffusion XL");
    sv_buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_there),     cmocka_unit_test(any_text_is_well_formed), cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(pixels_are_unchanged), cmocka_unit_test(parameters_for_browsers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
