#include "ddr.h"

#include <algorithm>
#include <cstring>

namespace joulegrad {

namespace {

constexpr size_t kReadBursts = 8;    // outstanding bursts that a port of Zynq-7000 takes
constexpr size_t kWriteBursts = 8;
constexpr size_t kWriteBeats = 32;   // buffered write data
constexpr uint32_t kLongestBurst = 16;
constexpr uint64_t kStripeBytes = 128;
constexpr uint8_t kIncrementing = 1, kOkay = 0, kSlaveError = 2, kDecodeError = 3;
constexpr double kCreditUnit = 256.0;  // credit is counted in 1/256 byte

}  // namespace

Ddr::Ddr(const DdrSettings& settings, uint8_t* data)
    : settings_(settings), data_(data), random_(settings.seed * 2654435761u + 88172645463325252u),
      ports_{Port(*this, 0), Port(*this, 1)} {
  credit_per_cycle_ = static_cast<uint64_t>(settings.bytes_per_cycle * kCreditUnit);
  credit_per_beat_ = static_cast<uint64_t>(settings.beat_bytes * kCreditUnit);
  credit_limit_ = std::max(credit_per_cycle_, credit_per_beat_) + credit_per_beat_;
  stall_threshold_ = static_cast<uint32_t>(settings.stall_probability * 4294967295.0);
}

void Ddr::set_errors(uint64_t read_error_at, uint64_t write_error_at) {
  settings_.read_error_at = read_error_at;
  settings_.write_error_at = write_error_at;
}

bool Ddr::stalls() {
  if (stall_threshold_ == 0) return false;
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>(random_ >> 32) < stall_threshold_;
}

void Ddr::clock(const PortIn in[2]) {
  ++cycle_;
  credit_ = std::min(credit_ + credit_per_cycle_, credit_limit_);
  ports_[0].accept(in[0]);
  ports_[1].accept(in[1]);
  // First is the channel behind the one served last, so that none starves when the budget is short.
  const int first = first_;
  for (int turn = 0; turn < 4 && credit_ >= credit_per_beat_; ++turn) {
    const int channel = (first + turn) & 3;
    Port& port = ports_[channel & 1];
    if (!(channel & 2 ? port.move_write_beat() : port.move_read_beat())) continue;
    credit_ -= credit_per_beat_;
    first_ = (channel + 1) & 3;
  }
  ports_[0].drive();
  ports_[1].drive();
}

void Port::fail(const std::string& what) {
  if (ddr_.violation_.empty())
    ddr_.violation_ = "port " + std::to_string(number_) + ", cycle " + std::to_string(ddr_.cycle_) + ": " + what;
}

Port::Burst Port::burst(const char* what, uint32_t address, uint32_t len, uint32_t size, uint32_t type, uint8_t id,
                        uint64_t error_at) {
  const DdrSettings& s = ddr_.settings_;
  const uint64_t bytes = uint64_t(len + 1) << size;
  const std::string name = std::string(what) + " burst of " + std::to_string(len + 1) + " beats at " + std::to_string(address);
  if ((1u << size) != s.beat_bytes) fail(name + " has beats of " + std::to_string(1 << size) + " bytes");
  if (len + 1 > kLongestBurst) fail(name + " is longer than 16 beats");
  if (type != kIncrementing) fail(name + " is not incrementing");
  if (address % s.beat_bytes) fail(name + " is not aligned to its beat");
  if (address / kStripeBytes != (address + bytes - 1) / kStripeBytes) fail(name + " leaves its 128-byte stripe");
  if (number_ != int(address / kStripeBytes % 2) && std::strcmp(what, "write") == 0) fail(name + " belongs to the other port");
  uint8_t response = kOkay;
  if (address < s.base || address + bytes > s.base + s.size) response = kDecodeError;
  else if (error_at >= address && error_at < address + bytes) response = kSlaveError;
  return Burst{address, ddr_.cycle_ + s.latency_cycles, len + 1, 0, id, response};
}

void Port::check_stable(const PortIn& in) {
  const PortIn& was = held_;
  if (was.arvalid &&
      (!in.arvalid || in.araddr != was.araddr || in.arlen != was.arlen || in.arid != was.arid))
    fail("read address changed or withdrawn before it was taken");
  if (was.awvalid &&
      (!in.awvalid || in.awaddr != was.awaddr || in.awlen != was.awlen || in.awid != was.awid))
    fail("write address changed or withdrawn before it was taken");
  if (was.wvalid &&
      (!in.wvalid || in.wdata != was.wdata || in.wlast != was.wlast || in.wid != was.wid || in.wstrb != was.wstrb))
    fail("write data changed or withdrawn before it was taken");
}

void Port::accept(const PortIn& in) {
  check_stable(in);
  held_ = in;  // what is taken below is cleared, so that `held_` ends up with what is offered and still waits
  if (in.arvalid && out.arready) {
    reads_.push_back(burst("read", in.araddr, in.arlen, in.arsize, in.arburst, in.arid, ddr_.settings_.read_error_at));
    held_.arvalid = 0;
  }
  if (in.awvalid && out.awready) {
    writes_.push_back(burst("write", in.awaddr, in.awlen, in.awsize, in.awburst, in.awid, ddr_.settings_.write_error_at));
    held_.awvalid = 0;
  }
  if (in.wvalid && out.wready) {
    write_data_.push_back(WriteBeat{in.wdata, in.wstrb, in.wid, in.wlast});
    held_.wvalid = 0;
  }
  if (out.rvalid && in.rready) out.rvalid = 0;
  if (out.bvalid && in.bready) out.bvalid = 0;
}

void Port::choose_read_burst() {
  // Bursts of different ids may overtake each other in AXI3; with random stalls on they sometimes do.
  if (reads_.size() < 2 || reads_[0].done || !ddr_.stalls()) return;
  for (size_t i = 1; i < reads_.size(); ++i) {
    bool first_of_its_id = true;
    for (size_t j = 0; j < i; ++j) first_of_its_id = first_of_its_id && reads_[j].id != reads_[i].id;
    if (!first_of_its_id) continue;
    const Burst burst = reads_[i];
    reads_.erase(reads_.begin() + i);
    reads_.push_front(burst);
    return;
  }
}

bool Port::move_read_beat() {
  if (out.rvalid || reads_.empty()) return false;
  choose_read_burst();
  Burst& burst = reads_.front();
  if (burst.ready_cycle > ddr_.cycle_ || ddr_.stalls()) return false;
  const uint32_t beat_bytes = ddr_.settings_.beat_bytes;
  out.rdata = 0;
  if (burst.response == kOkay)
    std::memcpy(&out.rdata, ddr_.data_ + (burst.address - ddr_.settings_.base) + uint64_t(burst.done) * beat_bytes, beat_bytes);
  out.rid = burst.id;
  out.rresp = burst.response;
  out.rlast = ++burst.done == burst.beats;
  out.rvalid = 1;
  if (out.rlast) reads_.pop_front();
  return true;
}

bool Port::move_write_beat() {
  if (writes_.empty() || write_data_.empty()) return false;
  Burst& burst = writes_.front();
  const WriteBeat beat = write_data_.front();
  write_data_.pop_front();
  const bool last = burst.done + 1 == burst.beats;
  if (beat.id != burst.id) fail("write data has another id than its address");
  if (beat.last != last) fail("wlast is not at the end of its burst");
  const uint32_t beat_bytes = ddr_.settings_.beat_bytes;
  if (burst.response == kOkay) {
    uint8_t* to = ddr_.data_ + (burst.address - ddr_.settings_.base) + uint64_t(burst.done) * beat_bytes;
    for (uint32_t i = 0; i < beat_bytes; ++i)
      if (beat.strobe >> i & 1) to[i] = uint8_t(beat.data >> (8 * i));
  }
  ++burst.done;
  if (last) {
    responses_.push_back(Response{ddr_.cycle_ + ddr_.settings_.latency_cycles, burst.id, burst.response});
    writes_.pop_front();
  }
  return true;
}

void Port::drive() {
  out.arready = reads_.size() < kReadBursts && !ddr_.stalls();
  out.awready = writes_.size() < kWriteBursts && !ddr_.stalls();
  out.wready = write_data_.size() < kWriteBeats && !ddr_.stalls();
  if (!out.bvalid && !responses_.empty() && responses_.front().ready_cycle <= ddr_.cycle_ && !ddr_.stalls()) {
    out.bid = responses_.front().id;
    out.bresp = responses_.front().response;
    out.bvalid = 1;
    responses_.pop_front();
  }
}

}  // namespace joulegrad
