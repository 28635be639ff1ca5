// The simulated core with a record of its signals' activity: a SAIF file for a vendor tool's report of power.
//
// core_sim.cpp is compiled around a core that notes its signals at every clock edge while a record is open. One
// record at a time, of the core that was made last.

#include "Vjoulegrad_core.h"
#include "verilated_saif_c.h"

namespace {

class RecordedCore : public Vjoulegrad_core {
 public:
  explicit RecordedCore(VerilatedContext* context) : Vjoulegrad_core(prepared(context)) { newest() = this; }
  ~RecordedCore() {
    if (newest() == this) close_record();
  }

  void eval() {
    Vjoulegrad_core::eval();
    if (record_ && clk_i != last_clk_) record_->dump(now_ps_ += half_period_ps_);
    last_clk_ = clk_i;
  }

  bool open_record(const char* path, uint64_t half_period_ps) {
    half_period_ps_ = half_period_ps;
    now_ps_ = 0;
    record_.reset(new VerilatedSaifC);
    trace(record_.get(), 99);
    record_->open(path);
    return record_->isOpen();
  }
  void close_record() {
    if (record_ && record_->isOpen()) record_->close();
    record_.reset();
  }

  static RecordedCore*& newest() {
    static RecordedCore* core = nullptr;
    return core;
  }

 private:
  static VerilatedContext* prepared(VerilatedContext* context) {
    context->traceEverOn(true);
    return context;
  }

  std::unique_ptr<VerilatedSaifC> record_;
  uint64_t now_ps_ = 0, half_period_ps_ = 0;
  CData last_clk_ = 0;
};

}  // namespace

#define Vjoulegrad_core RecordedCore
#include "../sim/core_sim.cpp"
#undef Vjoulegrad_core
#include "../sim/ddr.cpp"

#pragma GCC visibility push(default)
extern "C" {

int core_record_open(const char* path, uint64_t half_period_ps) {
  return RecordedCore::newest()->open_record(path, half_period_ps);
}
void core_record_close() { RecordedCore::newest()->close_record(); }

}  // extern "C"
#pragma GCC visibility pop
