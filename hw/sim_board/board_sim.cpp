// The verilated board with a serial line, as a C interface for hw/simulated_board.py.
//
// The host's end of the line is here: bytes become bits on rx_i, bits on tx_o become bytes, each a fixed number of
// clocks long, by a UART that shares nothing with the RTL's. No function keeps control for longer than `milliseconds`.

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>

#include "Vserial_board_top.h"
#include "verilated.h"

namespace {

constexpr int kResetCycles = 8;
constexpr uint64_t kCyclesPerClockLook = 512;
constexpr int kBits = 10;  // start, eight data bits, stop

class BoardSim {
 public:
  explicit BoardSim(uint32_t clocks_per_bit)
      : context_(new VerilatedContext), board_(new Vserial_board_top(context_.get())), clocks_per_bit_(clocks_per_bit) {
    board_->rx_i = 1;
    board_->rst_ni = 0;
    for (int i = 0; i < kResetCycles; ++i) cycle();
    board_->rst_ni = 1;
  }
  ~BoardSim() { board_->final(); }

  void send(const uint8_t* data, uint64_t count) { to_board_.insert(to_board_.end(), data, data + count); }

  uint64_t receive(uint8_t* data, uint64_t most) {
    uint64_t count = 0;
    for (; count < most && !from_board_.empty(); ++count) {
      data[count] = from_board_.front();
      from_board_.pop_front();
    }
    return count;
  }

  // Run `cycles` or `milliseconds`, whatever is first. Returns the cycles run.
  uint64_t run(uint64_t cycles, double milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
    uint64_t done = 0;
    while (done < cycles) {
      drive();
      cycle();
      listen();
      if (++done % kCyclesPerClockLook == 0 && std::chrono::steady_clock::now() >= until) break;
    }
    return done;
  }

  // Whether something is under way: bits on the line, or a segment.
  bool busy() const { return !to_board_.empty() || send_left_ != 0 || listen_clock_ >= 0 || (board_->led_o & 1); }
  uint64_t waiting() const { return to_board_.size(); }
  uint64_t cycles() const { return cycles_; }
  uint64_t broken() const { return broken_; }

 private:
  void cycle() {
    board_->clk_i = 0;
    board_->eval();
    board_->clk_i = 1;
    board_->eval();
    ++cycles_;
  }

  void drive() {
    if (send_left_ == 0) {
      if (to_board_.empty()) return;
      send_bits_ = uint32_t(to_board_.front()) << 1 | 1u << (kBits - 1);
      to_board_.pop_front();
      send_left_ = kBits * clocks_per_bit_;
    }
    board_->rx_i = send_bits_ >> ((kBits * clocks_per_bit_ - send_left_) / clocks_per_bit_) & 1;
    --send_left_;
  }

  void listen() {
    if (listen_clock_ < 0) {
      if (board_->tx_o) return;
      listen_clock_ = 0;
      listen_bits_ = 0;
    }
    const uint32_t bit = uint32_t(listen_clock_) / clocks_per_bit_;
    if (uint32_t(listen_clock_) % clocks_per_bit_ == clocks_per_bit_ / 2) listen_bits_ |= uint32_t(board_->tx_o) << bit;
    if (bit == kBits - 1 && uint32_t(listen_clock_) % clocks_per_bit_ == clocks_per_bit_ / 2) {
      listen_clock_ = -1;
      if (listen_bits_ & 1 || !(listen_bits_ >> (kBits - 1) & 1)) ++broken_;
      from_board_.push_back(uint8_t(listen_bits_ >> 1));
      return;
    }
    ++listen_clock_;
  }

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vserial_board_top> board_;
  uint32_t clocks_per_bit_;
  uint64_t cycles_ = 0, broken_ = 0;
  std::deque<uint8_t> to_board_, from_board_;
  uint32_t send_bits_ = 0, send_left_ = 0;  // clocks of the byte that are not sent
  int64_t listen_clock_ = -1;               // clocks since the start bit began
  uint32_t listen_bits_ = 0;
};

BoardSim* sim(void* handle) { return static_cast<BoardSim*>(handle); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* board_open(uint32_t clocks_per_bit) { return new BoardSim(clocks_per_bit); }
void board_close(void* handle) { delete sim(handle); }
void board_send(void* handle, const uint8_t* data, uint64_t count) { sim(handle)->send(data, count); }
uint64_t board_receive(void* handle, uint8_t* data, uint64_t most) { return sim(handle)->receive(data, most); }
uint64_t board_run(void* handle, uint64_t cycles, double milliseconds) { return sim(handle)->run(cycles, milliseconds); }
int board_busy(void* handle) { return sim(handle)->busy(); }
uint64_t board_waiting(void* handle) { return sim(handle)->waiting(); }
uint64_t board_cycles(void* handle) { return sim(handle)->cycles(); }
uint64_t board_broken(void* handle) { return sim(handle)->broken(); }

}  // extern "C"
#pragma GCC visibility pop
