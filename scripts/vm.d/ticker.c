// Wakes every N us. The virtual clock jumps to the next timer whenever the guest is idle, also
// while it waits for the host's disk: this bounds each jump.
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
  const long step = (argc > 1 ? atol(argv[1]) : 1000) * 1000;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;;) {
    next.tv_nsec += step;
    while (next.tv_nsec >= 1000000000) {
      next.tv_nsec -= 1000000000;
      next.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
}
