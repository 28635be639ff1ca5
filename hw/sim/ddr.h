// A DDR memory behind two AXI3 ports: one shared bandwidth, one latency, seeded random stalls.
//
// A cycle is: the caller fills `PortIn` with what the core drives just before the clock edge, calls
// `Ddr::clock`, and hands `PortOut` to the core just after the edge. Everything the model drives is
// therefore registered, and `valid` never waits for `ready`.
//
// Bandwidth is spent when a beat crosses the memory itself, between array and port buffer: reads and
// writes of both ports take from one budget, in turn. Read data of a burst is not there before
// `latency` cycles after its address; a write response not before `latency` cycles after its last beat.

#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace joulegrad {

// What a core drives on one port, sampled before the clock edge.
struct PortIn {
  uint32_t araddr, awaddr;
  uint64_t wdata;
  uint8_t arid, arlen, arsize, arburst, arvalid;
  uint8_t awid, awlen, awsize, awburst, awvalid;
  uint8_t wid, wstrb, wlast, wvalid;
  uint8_t rready, bready;
};

// What the memory drives on one port, valid after the clock edge.
struct PortOut {
  uint64_t rdata = 0;
  uint8_t arready = 0, awready = 0, wready = 0;
  uint8_t rid = 0, rresp = 0, rlast = 0, rvalid = 0;
  uint8_t bid = 0, bresp = 0, bvalid = 0;
};

struct DdrSettings {
  uint64_t base;              // address of byte 0
  uint64_t size;              // bytes
  uint32_t beat_bytes;        // bytes of a data beat: 4 or 8
  double bytes_per_cycle;     // budget shared by reads and writes of both ports
  uint32_t latency_cycles;
  double stall_probability;   // of each handshake in each cycle
  uint64_t seed;              // of the stalls
  uint64_t read_error_at;     // addresses whose bursts get SLVERR; ~0 for none
  uint64_t write_error_at;
};

class Ddr;

class Port {
 public:
  Port(Ddr& ddr, int number) : ddr_(ddr), number_(number) {}

  // Take and finish the handshakes of the edge that has just been.
  void accept(const PortIn& in);

  // Move one beat from the array to the read buffer, or from the write buffer to the array.
  bool move_read_beat();
  bool move_write_beat();

  // Decide what to drive in the next cycle.
  void drive();

  PortOut out;

 private:
  struct Burst {
    uint64_t address, ready_cycle;
    uint32_t beats, done;
    uint8_t id, response;
  };
  struct WriteBeat {
    uint64_t data;
    uint8_t strobe, id, last;
  };
  struct Response {
    uint64_t ready_cycle;
    uint8_t id, response;
  };

  Burst burst(const char* what, uint32_t address, uint32_t len, uint32_t size, uint32_t type, uint8_t id, uint64_t error_at);
  void check_stable(const PortIn& in);
  void fail(const std::string& what);
  void choose_read_burst();

  Ddr& ddr_;
  int number_;
  std::deque<Burst> reads_, writes_;
  std::deque<WriteBeat> write_data_;
  std::deque<Response> responses_;
  PortIn held_{};
};

class Ddr {
 public:
  Ddr(const DdrSettings& settings, uint8_t* data);

  // One clock edge: `in` sampled before it, `out(port)` to be driven after it.
  void clock(const PortIn in[2]);
  const PortOut& out(int port) const { return ports_[port].out; }

  void set_errors(uint64_t read_error_at, uint64_t write_error_at);

  // First breach of the AXI3 protocol by the core, empty if there was none.
  const std::string& violation() const { return violation_; }

 private:
  friend class Port;
  bool stalls();

  DdrSettings settings_;
  uint8_t* data_;
  uint64_t cycle_ = 0, random_;
  uint64_t credit_ = 0, credit_per_cycle_, credit_limit_, credit_per_beat_;
  uint32_t stall_threshold_;
  int first_ = 0;  // channel whose turn it is: reads of port 0 and 1, then writes of port 0 and 1
  std::string violation_;
  Port ports_[2];
};

}  // namespace joulegrad
