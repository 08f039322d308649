// Prints the frequency of the time stamp counter in kHz. Under multi-threaded emulation the guest's
// counter is the host's, and the guest's own calibration against an emulated timer fails on a busy
// host.
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

// The pair that was read in the shortest time.
static void sample(double* time, double* count) {
  double best = 1e18;
  for (int i = 0; i < 2000; i++) {
    const unsigned long long before = __rdtsc();
    const double time_between = now_ns();
    const unsigned long long after = __rdtsc();
    if (after - before < best) {
      best = after - before;
      *time = time_between;
      *count = (before + after) / 2.0;
    }
  }
}

int main(void) {
  double time_0, count_0, time_1, count_1;
  sample(&time_0, &count_0);
  const struct timespec wait = {0, 100000000};
  nanosleep(&wait, NULL);
  sample(&time_1, &count_1);
  printf("%.0f\n", (count_1 - count_0) / (time_1 - time_0) * 1e6);
  return 0;
}
