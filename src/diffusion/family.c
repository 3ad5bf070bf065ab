/* family.c - the table of families. */
#include "diffusion/family.h"

#include <string.h>

static const sv_family *const families[] = {
    &sv_family_sd,
    &sv_family_lcm,
    &sv_family_sdxl,
    &sv_family_sdxl_refiner,
    &sv_family_sd3,
    &sv_family_flux,
};

size_t sv_family_count(void) {
    return sizeof families / sizeof families[0];
}

const sv_family *sv_family_at(size_t i) {
    return i < sv_family_count() ? families[i] : NULL;
}

const sv_family *sv_family_find(const char *class_name) {
    for (size_t i = 0; i < sv_family_count(); i++)
        if (strcmp(families[i]->class_name, class_name) == 0) return families[i];
    return NULL;
}
