// The DDR model behind a C interface of single clock edges, so that a test can be the core.

#include "ddr.h"

using namespace joulegrad;

#pragma GCC visibility push(default)
extern "C" {

void* ddr_open(uint8_t* data, uint64_t base, uint64_t size, uint32_t beat_bytes, double bytes_per_cycle, uint32_t latency,
               double stall_probability, uint64_t seed, uint64_t read_error_at, uint64_t write_error_at) {
  return new Ddr(DdrSettings{base, size, beat_bytes, bytes_per_cycle, latency, stall_probability, seed, read_error_at, write_error_at},
                 data);
}
void ddr_close(void* ddr) { delete static_cast<Ddr*>(ddr); }
void ddr_clock(void* ddr, const PortIn* in, PortOut* out) {
  static_cast<Ddr*>(ddr)->clock(in);
  out[0] = static_cast<Ddr*>(ddr)->out(0);
  out[1] = static_cast<Ddr*>(ddr)->out(1);
}
const char* ddr_violation(void* ddr) { return static_cast<Ddr*>(ddr)->violation().c_str(); }

}  // extern "C"
#pragma GCC visibility pop
