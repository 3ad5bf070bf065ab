/* half.c - IEEE 754 binary16 to and from float, round to nearest even. */
#include <string.h>

#include "infer/infer.h"

uint16_t sv_half_from_float(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint32_t sign = u >> 16 & 0x8000u, rest = u & 0x7fffffffu;
    if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);        /* not a number */
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);       /* rounds to 2^16 or more: infinity */
    if (rest >= 0x38800000u) {                                        /* normal: rebias by 127 - 15, round 13 bits away */
        uint32_t m = rest - 0x38000000u;
        return (uint16_t)(sign | (m + 0xfffu + (m >> 13 & 1u)) >> 13);
    }
    if (rest < 0x33000000u) return (uint16_t)sign;                    /* under half of the smallest subnormal */
    uint32_t shift = 126u - (rest >> 23), m = (rest & 0x7fffffu) | 0x800000u;
    uint32_t half = 1u << (shift - 1), q = m >> shift, left = m & ((1u << shift) - 1);
    if (left > half || (left == half && (q & 1u))) q++;
    return (uint16_t)(sign | q);
}

float sv_half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 0x1fu, m = h & 0x3ffu, u;
    if (e == 31) {
        u = sign | 0x7f800000u | m << 13;
    } else if (e) {
        u = sign | (e + 112) << 23 | m << 13;
    } else if (m == 0) {
        u = sign;
    } else {                                                          /* subnormal: value m * 2^-24 */
        e = 113;
        while (!(m & 0x400u)) {
            m <<= 1;
            e--;
        }
        u = sign | e << 23 | (m & 0x3ffu) << 13;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}
