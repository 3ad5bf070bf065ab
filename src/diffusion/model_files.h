/* model_files.h - the files that a model is made of, and their hash: a model is the same if every file that counts is. */
#ifndef SV_DIFFUSION_MODEL_FILES_H
#define SV_DIFFUSION_MODEL_FILES_H

#include "base/error.h"

/* Paths relative to the model's directory. Zero-initialise; sv_file_list_free. */
typedef struct sv_file_list {
    char **items;
    size_t count, capacity;
} sv_file_list;

void sv_file_list_free(sv_file_list *l);
/* folder/name; folder may be NULL. */
sv_status sv_file_list_add(sv_file_list *l, const char *folder, const char *name, sv_error *err);
/* A graph and its external data. `graph`: its path. SV_E_MODEL: not a graph, or its data lies outside the folder. */
sv_status sv_file_list_add_graph(sv_file_list *l, const char *folder, const char *graph, sv_error *err);
/* The files of a tokenizer that are there, in the directory `dir` = root/folder. */
sv_status sv_file_list_add_tokenizer(sv_file_list *l, const char *folder, const char *dir, sv_error *err);
/* Sorts the list; hex SHA-256 over "<SHA-256 of the file>  <relative path>\n" of every file. */
sv_status sv_file_list_hash(sv_file_list *l, const char *root, char out[65], sv_error *err);

#endif
