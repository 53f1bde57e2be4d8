// SPDX-License-Identifier: 0BSD
// LevelDB's own tables, which TensorFlow's index is one of: dump FILE prints "KEY VALUE" in hexadecimal, a pair a line, checksums
// verified; make FILE [snappy] writes a table of such lines from standard input.
#include <sys/stat.h>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <leveldb/env.h>
#include <leveldb/iterator.h>
#include <leveldb/options.h>
#include <leveldb/table.h>
#include <leveldb/table_builder.h>

static void
need(const leveldb::Status &s)
{
        if (!s.ok()) {
                std::cerr << s.ToString() << "\n";
                exit(1);
        }
}

static void
hex(const leveldb::Slice &s)
{
        for (size_t i = 0; i < s.size(); i++)
                printf("%02x", (unsigned char)s[i]);
}

static std::string
bytes(const std::string &h)
{
        std::string out;
        for (size_t i = 0; i + 1 < h.size(); i += 2)
                out += (char)strtol(h.substr(i, 2).c_str(), nullptr, 16);
        return out;
}

int
main(int argc, char **argv)
{
        if (argc < 3)
                return 2;
        leveldb::Options options;
        leveldb::Env *env = leveldb::Env::Default();
        options.compression = argc > 3 ? leveldb::kSnappyCompression : leveldb::kNoCompression;
        if (!strcmp(argv[1], "make")) {
                leveldb::WritableFile *file;
                need(env->NewWritableFile(argv[2], &file));
                leveldb::TableBuilder table(options, file);
                for (std::string line; std::getline(std::cin, line);) {
                        size_t space = line.find(' ');
                        table.Add(bytes(line.substr(0, space)), bytes(line.substr(space + 1)));
                }
                need(table.Finish());
                need(file->Close());
                delete file;
                return 0;
        }
        struct stat st;
        leveldb::RandomAccessFile *file;
        leveldb::Table *table;
        if (stat(argv[2], &st) != 0)
                return 1;
        need(env->NewRandomAccessFile(argv[2], &file));
        options.paranoid_checks = true;
        need(leveldb::Table::Open(options, file, (uint64_t)st.st_size, &table));
        leveldb::ReadOptions read;
        read.verify_checksums = true;
        std::unique_ptr<leveldb::Iterator> it(table->NewIterator(read));
        std::string last;
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
                hex(it->key());
                printf(" ");
                hex(it->value());
                printf("\n");
                last = it->key().ToString();
        }
        need(it->status());
        it->Seek(last); /* the index leads to the block, not only past it */
        return !it->Valid() || it->key() != last;
}
