/* SPDX-License-Identifier: 0BSD */
/*
 * What the machine can do at most, measured: fused multiply-adds on registers alone, in float and
 * in bfloat16 (two products an accumulator, vdpbf16ps), and the bandwidth of a = b + s * c over
 * arrays that no cache holds.
 *
 *     fma_peak [THREADS [SECONDS]]
 *
 * prints one JSON object: gflops_f32, gflops_bf16 (0 where the machine has no such instruction),
 * triad_gb_per_second, the instructions used and the threads. Each figure is the best of several
 * short rounds: a peak is what can be had, and whatever else runs on the machine only takes from
 * it.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, THREADS_MAX = 256 }; /* independent accumulators: latency times ports */

static double
now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A kernel runs n rounds of CHAINS multiply-adds and returns something that depends on all of them.
 */
typedef float (*kernel)(long n);

/* Accumulators are variables by name: an array of them would live in memory. */
#define CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define CLEAR(j) a##j = x - x;
#define SUM(j) s += ((const float *)&a##j)[0];
#define LOOP(vector, STEP)                                       \
        vector a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11; \
        CHAIN(CLEAR)                                             \
        for (long i = 0; i < n; i++) {                           \
                CHAIN(STEP)                                      \
        }                                                        \
        float s = 0;                                             \
        CHAIN(SUM)                                               \
        return s;

typedef float four __attribute__((vector_size(16)));

/* Any machine: four floats at a time, fused where the compiler has it so. */
static float
plain(long n)
{
        four x = {0.999f, 0.999f, 0.999f, 0.999f}, y = {1e-3f, 1e-3f, 1e-3f, 1e-3f};
        __asm__("" : "+m"(x), "+m"(y)); /* not to be known when compiled */
#define STEP(j) a##j = a##j * x + y;
        LOOP(four, STEP)
#undef STEP
}

#if defined(__x86_64__)
/* The empty asm keeps an accumulator in its register and the compiler from rewriting the loop. */
__attribute__((target("avx2,fma"))) static float
avx2(long n)
{
        const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
#define STEP(j)                             \
        a##j = _mm256_fmadd_ps(x, y, a##j); \
        __asm__ volatile("" : "+x"(a##j));
        LOOP(__m256, STEP)
#undef STEP
}

__attribute__((target("avx512f"))) static float
avx512(long n)
{
        const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
#define STEP(j)                             \
        a##j = _mm512_fmadd_ps(x, y, a##j); \
        __asm__ volatile("" : "+v"(a##j));
        LOOP(__m512, STEP)
#undef STEP
}

__attribute__((target("avx512f,avx512bf16"))) static float
avx512_bf16(long n)
{
        const __m512 x = _mm512_set1_ps(1e-3f);
        const __m512bh y = _mm512_cvtne2ps_pbh(x, x);
#define STEP(j)                              \
        a##j = _mm512_dpbf16_ps(a##j, y, y); \
        __asm__ volatile("" : "+v"(a##j));
        LOOP(__m512, STEP)
#undef STEP
}
#endif

static struct {
        const char *name;
        kernel run;
        double flops; /* a multiply-add of one accumulator */
} f32 = {"plain C", plain, 8}, bf16 = {"none", NULL, 0};

static void
choose(void)
{
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f")) {
                f32.name = "AVX-512";
                f32.run = avx512;
                f32.flops = 2 * 16;
        } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
                f32.name = "AVX2 FMA";
                f32.run = avx2;
                f32.flops = 2 * 8;
        }
        if (__builtin_cpu_supports("avx512bf16")) {
                bf16.name = "AVX-512 BF16";
                bf16.run = avx512_bf16;
                bf16.flops = 2 * 32;
        }
#endif
}

/* A job for all threads at once: a kernel, or the triad over this thread's part of the arrays. */
struct part {
        pthread_t thread;
        kernel run;
        long n;
        float *a, *b, *c;
        size_t length;
        double start, end;
        volatile float result;
};

static pthread_barrier_t gate;

static void *
work(void *arg)
{
        struct part *p = arg;
        if (!p->run) /* each thread's pages are touched by it first */
                for (size_t i = 0; i < p->length; i++)
                        p->a[i] = 0, p->b[i] = 1, p->c[i] = 2;
        pthread_barrier_wait(&gate);
        p->start = now();
        if (p->run)
                p->result = p->run(p->n);
        for (long round = 0; !p->run && round < p->n; round++) {
                for (size_t i = 0; i < p->length; i++)
                        p->a[i] = p->b[i] + 3.0f * p->c[i];
                __asm__ volatile("" ::: "memory");
        }
        p->end = now();
        return NULL;
}

/* Seconds from the first thread's start to the last one's end. */
static double
together(struct part *parts, int threads)
{
        pthread_barrier_init(&gate, NULL, (unsigned)threads);
        for (int i = 0; i < threads; i++)
                if (pthread_create(&parts[i].thread, NULL, work, &parts[i]) != 0)
                        exit(2);
        double first = 0, last = 0;
        for (int i = 0; i < threads; i++) {
                pthread_join(parts[i].thread, NULL);
                first = i && first < parts[i].start ? first : parts[i].start;
                last = last > parts[i].end ? last : parts[i].end;
        }
        pthread_barrier_destroy(&gate);
        return last - first;
}

static double
gflops(kernel run, double flops, int threads, double seconds)
{
        struct part parts[THREADS_MAX] = {0};
        long n = 1 << 18;
        double best = 0, end = now() + seconds;
        do {
                for (int i = 0; i < threads; i++) {
                        parts[i].run = run;
                        parts[i].n = n;
                }
                double t = together(parts, threads),
                       rate = flops * CHAINS * (double)n * threads / t / 1e9;
                best = rate > best ? rate : best;
                if (t < 0.02)
                        n *= 2;
        } while (now() < end);
        return best;
}

static double
triad(int threads, double seconds)
{
        struct part parts[THREADS_MAX] = {0};
        const size_t length = (size_t)64 << 20; /* floats an array: 256 MiB */
        float *memory = malloc(3 * length * sizeof *memory);
        if (!memory)
                return 0;
        double best = 0, end = now() + seconds;
        do {
                for (int i = 0; i < threads; i++) {
                        size_t part = length / (size_t)threads, at = part * (size_t)i;
                        parts[i] = (struct part){.n = 1,
                                .a = memory + at,
                                .b = memory + length + at,
                                .c = memory + 2 * length + at,
                                .length = part};
                }
                double rate = 12.0 * (double)length / together(parts, threads) / 1e9;
                best = rate > best ? rate : best;
        } while (now() < end);
        free(memory);
        return best;
}

int
main(int argc, char **argv)
{
        int threads = argc > 1 ? atoi(argv[1]) : 1;
        double seconds = argc > 2 ? atof(argv[2]) : 1;
        if (threads < 1 || threads > THREADS_MAX || !(seconds > 0)) {
                fprintf(stderr, "fma_peak: [THREADS [SECONDS]]\n");
                return 2;
        }
        choose();
        printf("{\"threads\": %d, \"f32\": \"%s\", \"gflops_f32\": %.1f, ", threads, f32.name,
                gflops(f32.run, f32.flops, threads, seconds));
        printf("\"bf16\": \"%s\", \"gflops_bf16\": %.1f, ", bf16.name,
                bf16.run ? gflops(bf16.run, bf16.flops, threads, seconds) : 0);
        printf("\"triad_gb_per_second\": %.1f}\n", triad(threads, seconds));
        return 0;
}
