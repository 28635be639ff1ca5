// The verilated core with a DDR memory behind it, as a C interface for hw/simulated_core.py.
//
// A cycle: clock low, settle, sample what the core drives, clock high, memory model, new inputs. No
// function keeps control for longer than its `milliseconds`, so that Python can stop a run at any time.

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Vjoulegrad_core.h"
#include "ddr.h"
#include "verilated.h"
#include "verilated_syms.h"

namespace {

using joulegrad::Ddr;
using joulegrad::DdrSettings;
using joulegrad::PortIn;
using joulegrad::PortOut;

constexpr int kRegisterCycles = 1000;  // a register access that takes longer has hung
constexpr int kResetCycles = 8;
constexpr uint64_t kCyclesPerClockLook = 512;

struct PublicArray {
  std::string name;
  void* data;
  uint64_t bytes, word_bytes;
};

class CoreSim {
 public:
  CoreSim(const DdrSettings& settings, uint8_t* ddr_data)
      : context_(new VerilatedContext), core_(new Vjoulegrad_core(context_.get())), settings_(settings),
        ddr_data_(ddr_data) {
    list_public_arrays();
    reset();
  }
  ~CoreSim() { core_->final(); }

  // Reset core and memory model, as after power-up but for what the memories hold.
  void reset() {
    ddr_.reset(new Ddr(settings_, ddr_data_));
    drive();
    core_->rst_ni = 0;
    core_->s_axi_awvalid_i = core_->s_axi_wvalid_i = core_->s_axi_arvalid_i = 0;
    core_->s_axi_bready_i = core_->s_axi_rready_i = 1;
    for (int i = 0; i < kResetCycles; ++i) cycle();
    core_->rst_ni = 1;
    cycle();
  }

  void cycle() {
    core_->clk_i = 0;
    core_->eval();
    PortIn in[2];
    sample(in);
    core_->clk_i = 1;
    core_->eval();
    ddr_->clock(in);
    drive();
    ++cycles_;
  }

  // Run until the interrupt, `cycles` or `milliseconds`, whatever is first. Returns the cycles run.
  uint64_t run(uint64_t cycles, double milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
    uint64_t done = 0;
    while (done < cycles && !core_->irq_o) {
      cycle();
      if (++done % kCyclesPerClockLook == 0 && std::chrono::steady_clock::now() >= until) break;
    }
    return done;
  }

  bool write_register(uint32_t address, uint32_t data) {
    core_->s_axi_awaddr_i = address;
    core_->s_axi_wdata_i = data;
    core_->s_axi_wstrb_i = 0xF;
    core_->s_axi_awvalid_i = core_->s_axi_wvalid_i = 1;
    for (int i = 0; i < kRegisterCycles; ++i) {
      settle();
      const bool address_taken = core_->s_axi_awvalid_i && core_->s_axi_awready_o;
      const bool data_taken = core_->s_axi_wvalid_i && core_->s_axi_wready_o;
      const bool answered = core_->s_axi_bvalid_o;
      cycle();
      if (address_taken) core_->s_axi_awvalid_i = 0;
      if (data_taken) core_->s_axi_wvalid_i = 0;
      if (answered) return true;
    }
    core_->s_axi_awvalid_i = core_->s_axi_wvalid_i = 0;
    return false;
  }

  bool read_register(uint32_t address, uint32_t* data) {
    core_->s_axi_araddr_i = address;
    core_->s_axi_arvalid_i = 1;
    for (int i = 0; i < kRegisterCycles; ++i) {
      settle();
      const bool taken = core_->s_axi_arvalid_i && core_->s_axi_arready_o;
      const bool answered = core_->s_axi_rvalid_o;
      *data = core_->s_axi_rdata_o;
      cycle();
      if (taken) core_->s_axi_arvalid_i = 0;
      if (answered) return true;
    }
    core_->s_axi_arvalid_i = 0;
    return false;
  }

  bool interrupt() const { return core_->irq_o; }
  uint64_t cycles() const { return cycles_; }
  const std::string& violation() const { return ddr_->violation(); }
  void set_errors(uint64_t read_at, uint64_t write_at) {
    settings_.read_error_at = read_at;
    settings_.write_error_at = write_at;
    ddr_->set_errors(read_at, write_at);
  }
  const std::vector<PublicArray>& public_arrays() const { return arrays_; }

 private:
  void settle() {
    core_->clk_i = 0;
    core_->eval();
  }

#define JOULEGRAD_SAMPLE(n)                                                                                        \
  in[n].araddr = core_->m##n##_axi_araddr_o, in[n].arid = core_->m##n##_axi_arid_o;                                \
  in[n].arlen = core_->m##n##_axi_arlen_o, in[n].arsize = core_->m##n##_axi_arsize_o;                              \
  in[n].arburst = core_->m##n##_axi_arburst_o, in[n].arvalid = core_->m##n##_axi_arvalid_o;                        \
  in[n].awaddr = core_->m##n##_axi_awaddr_o, in[n].awid = core_->m##n##_axi_awid_o;                                \
  in[n].awlen = core_->m##n##_axi_awlen_o, in[n].awsize = core_->m##n##_axi_awsize_o;                              \
  in[n].awburst = core_->m##n##_axi_awburst_o, in[n].awvalid = core_->m##n##_axi_awvalid_o;                        \
  in[n].wdata = core_->m##n##_axi_wdata_o, in[n].wid = core_->m##n##_axi_wid_o;                                    \
  in[n].wstrb = core_->m##n##_axi_wstrb_o, in[n].wlast = core_->m##n##_axi_wlast_o;                                \
  in[n].wvalid = core_->m##n##_axi_wvalid_o;                                                                       \
  in[n].rready = core_->m##n##_axi_rready_o, in[n].bready = core_->m##n##_axi_bready_o;

#define JOULEGRAD_DRIVE(n)                                                                                         \
  {                                                                                                                \
    const PortOut& out = ddr_->out(n);                                                                              \
    core_->m##n##_axi_arready_i = out.arready, core_->m##n##_axi_awready_i = out.awready;                          \
    core_->m##n##_axi_wready_i = out.wready;                                                                       \
    core_->m##n##_axi_rdata_i = out.rdata, core_->m##n##_axi_rid_i = out.rid;                                      \
    core_->m##n##_axi_rresp_i = out.rresp, core_->m##n##_axi_rlast_i = out.rlast;                                  \
    core_->m##n##_axi_rvalid_i = out.rvalid;                                                                       \
    core_->m##n##_axi_bid_i = out.bid, core_->m##n##_axi_bresp_i = out.bresp;                                      \
    core_->m##n##_axi_bvalid_i = out.bvalid;                                                                       \
  }

  void sample(PortIn in[2]) { JOULEGRAD_SAMPLE(0) JOULEGRAD_SAMPLE(1) }
  void drive() { JOULEGRAD_DRIVE(0) JOULEGRAD_DRIVE(1) }

  void list_public_arrays() {
    for (const auto& scope : *context_->scopeNameMap()) {
      if (!scope.second->varsp()) continue;
      for (const auto& entry : *scope.second->varsp()) {
        const VerilatedVar& variable = entry.second;
        if (variable.isParam()) continue;
        arrays_.push_back(PublicArray{std::string(scope.first) + "." + entry.first, variable.datap(),
                                      uint64_t(variable.totalSize()), uint64_t(variable.entSize())});
      }
    }
  }

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vjoulegrad_core> core_;
  DdrSettings settings_;
  uint8_t* ddr_data_;
  std::unique_ptr<Ddr> ddr_;
  uint64_t cycles_ = 0;
  std::vector<PublicArray> arrays_;
};

CoreSim* sim(void* handle) { return static_cast<CoreSim*>(handle); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* core_open(uint8_t* ddr, uint64_t base, uint64_t size, uint32_t beat_bytes, double bytes_per_cycle,
                uint32_t latency_cycles, double stall_probability, uint64_t seed) {
  return new CoreSim(DdrSettings{base, size, beat_bytes, bytes_per_cycle, latency_cycles, stall_probability, seed,
                                 ~uint64_t(0), ~uint64_t(0)},
                     ddr);
}
void core_close(void* handle) { delete sim(handle); }
void core_reset(void* handle) { sim(handle)->reset(); }
uint64_t core_run(void* handle, uint64_t cycles, double milliseconds) { return sim(handle)->run(cycles, milliseconds); }
int core_interrupt(void* handle) { return sim(handle)->interrupt(); }
uint64_t core_cycles(void* handle) { return sim(handle)->cycles(); }
int core_write_register(void* handle, uint32_t address, uint32_t data) { return sim(handle)->write_register(address, data); }
int core_read_register(void* handle, uint32_t address, uint32_t* data) { return sim(handle)->read_register(address, data); }
void core_set_errors(void* handle, uint64_t read_at, uint64_t write_at) { sim(handle)->set_errors(read_at, write_at); }
const char* core_violation(void* handle) { return sim(handle)->violation().c_str(); }

// Memories and counters that the RTL marks public: their hierarchical name, address, size and word size in bytes.
uint64_t core_public_count(void* handle) { return sim(handle)->public_arrays().size(); }
const char* core_public_array(void* handle, uint64_t i, void** data, uint64_t* bytes, uint64_t* word_bytes) {
  const PublicArray& array = sim(handle)->public_arrays().at(i);
  *data = array.data, *bytes = array.bytes, *word_bytes = array.word_bytes;
  return array.name.c_str();
}

}  // extern "C"
#pragma GCC visibility pop
