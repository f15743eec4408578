/* The same operations through librados, to measure beside `ringbd rados bench`: random blocks of the objects that
 * `ringbd rados bench SECONDS write --no-cleanup` left, with so many in flight. Prints one line of JSON.
 *
 *     cc -O2 -o librados librados.c -lrados -lpthread
 *     ./librados CONF POOL read|write PREFIX OBJECTS OBJECT_BYTES BLOCK_BYTES IN_FLIGHT SECONDS
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <rados/librados.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Not counted: connections are made, caches fill. */
#define WARM_UP_S 0.5
#define LATENCIES_MAX (1 << 24)

struct slot {
    char *buf;
    double began;
};

static sem_t free_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot **free_slots;
static int free_top;
static long finished;
static int failed;
static float *latencies;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static void done(rados_completion_t completion, void *arg) {
    struct slot *slot = arg;
    int result = rados_aio_get_return_value(completion);
    pthread_mutex_lock(&lock);
    if (result < 0)
        failed = result;
    latencies[finished % LATENCIES_MAX] = now() - slot->began;
    finished++;
    free_slots[free_top++] = slot;
    pthread_mutex_unlock(&lock);
    rados_aio_release(completion);
    sem_post(&free_count);
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 10) {
        fprintf(stderr, "usage: CONF POOL read|write PREFIX OBJECTS OBJECT_BYTES BLOCK_BYTES IN_FLIGHT SECONDS\n");
        return 2;
    }
    int writes = !strcmp(argv[3], "write"), depth = atoi(argv[8]);
    long objects = atol(argv[5]), object_bytes = atol(argv[6]), block = atol(argv[7]);
    double seconds = atof(argv[9]);
    rados_t cluster;
    rados_ioctx_t io;
    if (rados_create(&cluster, "admin") || rados_conf_read_file(cluster, argv[1]) || rados_connect(cluster) ||
        rados_ioctx_create(cluster, argv[2], &io)) {
        fprintf(stderr, "cannot reach the pool\n");
        return 1;
    }
    latencies = malloc(sizeof *latencies * LATENCIES_MAX);
    free_slots = malloc(sizeof *free_slots * depth);
    sem_init(&free_count, 0, depth);
    for (int i = 0; i < depth; i++) {
        struct slot *slot = malloc(sizeof *slot);
        slot->buf = malloc(block);
        memset(slot->buf, 7, block);
        free_slots[free_top++] = slot;
    }
    unsigned seed = getpid();
    double began = now(), end = began + WARM_UP_S, cpu_before = 0;
    long before = 0;
    for (int warm = 0; now() < end && !failed;) {
        sem_wait(&free_count);
        pthread_mutex_lock(&lock);
        struct slot *slot = free_slots[--free_top];
        pthread_mutex_unlock(&lock);
        char name[256];
        snprintf(name, sizeof name, "%s%ld", argv[4], rand_r(&seed) % objects);
        unsigned long offset = rand_r(&seed) % (object_bytes / block) * block;
        rados_completion_t completion;
        rados_aio_create_completion2(slot, done, &completion);
        slot->began = now();
        if (writes)
            rados_aio_write(io, name, completion, slot->buf, block, offset);
        else
            rados_aio_read(io, name, completion, slot->buf, block, offset);
        if (!warm && now() >= end) {
            warm = 1;
            began = now();
            end = began + seconds;
            cpu_before = cpu();
            pthread_mutex_lock(&lock);
            before = finished;
            pthread_mutex_unlock(&lock);
        }
    }
    double took = now() - began, used = cpu() - cpu_before;
    pthread_mutex_lock(&lock);
    long count = finished - before;
    long kept = count < LATENCIES_MAX ? count : LATENCIES_MAX;
    qsort(latencies, kept, sizeof *latencies, by_size);
    printf("{\"iops\": %.1f, \"cpu_us\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"operations\": %ld, \"failed\": %d}\n",
           count / took, used / count * 1e6, kept ? latencies[kept / 2] * 1e6 : 0,
           kept ? latencies[kept * 99 / 100] * 1e6 : 0, count, failed);
    fflush(stdout);
    _exit(failed ? 1 : 0);
}
