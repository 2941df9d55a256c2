#include "tests/unit/state/fixture.h"

Test(row_layout, offsets_are_aligned_and_in_the_order_of_adding)
{
    struct eddy_error err = {0};
    struct row_layout l = {0};
    cr_assert_eq(row_layout_add(&l, "a", SECTION_BYTES, 1, 3, &err), 0);
    cr_assert_eq(row_layout_add(&l, "b", SECTION_F64, 1, 16, &err), 8);
    cr_assert_eq(row_layout_add(&l, "c", SECTION_F32, 1, 4, &err), 64);
    cr_assert_eq(row_layout_add(&l, "d", SECTION_I64, 1, 8, &err), 72);
    cr_assert_eq(row_layout_add(&l, "empty", SECTION_BYTES, 1, 0, &err), 80);
    cr_assert_eq(row_layout_add(&l, "line", SECTION_F32, 1, 0, &err), 128);
    cr_assert_eq(row_layout_add(&l, "f", SECTION_BYTES, 1, 3, &err), 128, "behind an empty one");
    cr_assert_eq(l.row_bytes, 192);
    cr_assert_eq(row_layout_find(&l, "c")->bytes, 4);
    cr_assert_null(row_layout_find(&l, "e"));
    row_layout_free(&l);
    cr_assert_eq(l.row_bytes, 0);
}

Test(row_layout, what_makes_no_sense_is_refused)
{
    struct eddy_error err = {0};
    struct row_layout l = {0};
    char name[80];
    memset(name, 'n', sizeof(name));
    name[64] = '\0';
    cr_assert_eq(row_layout_add(&l, "", SECTION_F32, 1, 4, &err), EDDY_EINVAL);
    cr_assert_eq(row_layout_add(&l, name, SECTION_F32, 1, 4, &err), EDDY_EINVAL);
    name[63] = '\0';
    cr_assert_eq(row_layout_add(&l, name, SECTION_F32, 1, 4, &err), 0);
    cr_assert_eq(row_layout_add(&l, name, SECTION_F32, 1, 4, &err), EDDY_EINVAL, "twice the same name");
    cr_assert_eq(row_layout_add(&l, "type", SECTION_I64 + 1, 1, 4, &err), EDDY_EINVAL);
    cr_assert_eq(row_layout_add(&l, "type", -1, 1, 4, &err), EDDY_EINVAL);
    cr_assert_eq(row_layout_add(&l, "part", SECTION_F64, 1, 12, &err), EDDY_EINVAL);
    cr_assert_eq(row_layout_add(&l, "huge", SECTION_BYTES, 1, (size_t)1 << 40, &err), EDDY_ELIMIT);
    cr_assert_eq(row_layout_add(&l, "huge", SECTION_BYTES, 1, SIZE_MAX, &err), EDDY_ELIMIT);
    cr_assert_eq(l.n, 1);
    row_layout_free(&l);
}

Test(row_layout, decoding_gives_what_was_encoded)
{
    struct eddy_error err = {0};
    struct row_layout l, back;
    struct eddy_buffer b = {0};
    a_layout(&l);
    must(row_layout_encode(&l, &b, &err));
    must(row_layout_decode(b.data, b.len, &back, &err));
    cr_assert_eq(back.n, 3);
    cr_assert_eq(back.row_bytes, l.row_bytes);
    must(row_layout_compare(&l, &back, &err));
    cr_assert_eq(row_layout_find(&back, "detect.0")->version, 2);
    row_layout_free(&back);
    row_layout_free(&l);
    eddy_buffer_free(&b);
}

Test(row_layout, every_truncation_and_changed_byte_decodes_to_an_error_or_a_consistent_directory)
{
    struct eddy_error err = {0};
    struct row_layout l, back;
    struct eddy_buffer b = {0};
    a_layout(&l);
    must(row_layout_encode(&l, &b, &err));
    for (size_t n = 0; n < b.len; n++) {
        char *cut = malloc(n + 1); /* of its own size, so that a read beyond it is caught */
        memcpy(cut, b.data, n);
        cr_assert_eq(row_layout_decode(cut, n, &back, &err), EDDY_ECORRUPT, "cut to %zu", n);
        free(cut);
    }
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] = (char)~b.data[i];
        if (row_layout_decode(b.data, b.len, &back, &err) == EDDY_OK) {
            for (int s = 0; s < back.n; s++)
                cr_assert(back.sections[s].offset + back.sections[s].bytes <= back.row_bytes);
            row_layout_free(&back);
        }
        b.data[i] = (char)~b.data[i];
    }
    row_layout_free(&l);
    eddy_buffer_free(&b);
}

Test(row_layout, a_difference_is_named)
{
    struct eddy_error err = {0};
    struct row_layout was = {0}, is = {0};
    row_layout_add(&was, "network.main.state", SECTION_F32, 1, 128, &err);
    row_layout_add(&is, "network.main.state", SECTION_F32, 1, 256, &err);
    cr_assert_eq(row_layout_compare(&was, &is, &err), EDDY_EMISMATCH);
    cr_assert_str_eq(err.message, "section network.main.state: 128 bytes were stored, 256 are configured");
    row_layout_free(&is);
    row_layout_add(&is, "network.main.state", SECTION_F32, 2, 128, &err);
    cr_assert_eq(row_layout_compare(&was, &is, &err), EDDY_EMISMATCH);
    cr_assert(strstr(err.message, "version 1 was stored"));
    row_layout_free(&is);
    row_layout_add(&is, "a", SECTION_F32, 1, 128, &err);
    cr_assert_eq(row_layout_compare(&was, &is, &err), EDDY_EMISMATCH);
    cr_assert_str_eq(err.message, "section a: is configured, but was not stored");
    row_layout_free(&is);
    cr_assert_eq(row_layout_compare(&was, &is, &err), EDDY_EMISMATCH);
    cr_assert_str_eq(err.message, "section network.main.state: was stored, but is not configured");
    row_layout_free(&was);
}

Test(row_layout, a_copy_takes_equal_sections_and_leaves_the_others)
{
    struct eddy_error err = {0};
    struct row_layout was = {0}, is = {0};
    unsigned char from[192], to[256];
    row_layout_add(&was, "kept", SECTION_I64, 1, 8, &err);
    row_layout_add(&was, "grown", SECTION_I64, 1, 8, &err);
    row_layout_add(&was, "dropped", SECTION_I64, 1, 8, &err);
    int64_t fresh = row_layout_add(&is, "fresh", SECTION_I64, 1, 8, &err);
    int64_t grown = row_layout_add(&is, "grown", SECTION_I64, 1, 16, &err);
    int64_t kept = row_layout_add(&is, "kept", SECTION_I64, 1, 8, &err);
    memset(from, 7, sizeof(from));
    memset(to, 9, sizeof(to));
    row_layout_copy(&was, from, &is, to);
    cr_assert_eq(to[kept], 7);
    cr_assert_eq(to[kept + 7], 7);
    cr_assert_eq(to[grown], 9);
    cr_assert_eq(to[fresh], 9);
    row_layout_free(&was);
    row_layout_free(&is);
}

Test(row_layout, a_section_taken_out_is_not_copied_and_the_others_stay_in_place)
{
    struct row_layout from, to;
    unsigned char was[256], is[256] = {0}, zeros[256] = {0};
    a_layout(&from);
    a_layout(&to);
    fill_row(was, sizeof(was), 7);
    const struct section *state = row_layout_find(&to, "network.main.state"),
                         *last = row_layout_find(&to, "detect.0");
    row_layout_remove(&from, "nothing of that name");
    cr_assert_eq(from.n, 3);
    row_layout_remove(&from, "network.main.state");
    cr_assert_eq(from.n, 2);
    cr_assert_eq(from.row_bytes, 256);
    row_layout_copy(&from, was, &to, is);
    cr_assert_arr_eq(is, was, 24);
    cr_assert_arr_eq(is + state->offset, zeros, state->bytes);
    cr_assert_arr_eq(is + last->offset, was + last->offset, last->bytes);
    row_layout_remove(&from, "detect.0");
    row_layout_remove(&from, "header");
    cr_assert_eq(from.n, 0);
    row_layout_free(&from);
    row_layout_free(&to);
}
