// The 64-bit counters of hw/isa.py COUNTERS.
//
//   value[i] = sum over the cycles of a segment of increment_i[i] << shift[i]
//
// Every counter is a few bits that take the increments; a sweep adds one of them per cycle to its word
// in a LUT RAM and empties it, so 31 wide adders become one. When run_i falls, one more sweep brings
// every word up to date (settled_o). shift makes multiply-accumulates of slots and bytes of beats.
// Throughput one increment of each counter per cycle; latency up to 64 cycles. Golden: a dict of ints.

module counters import joulegrad_pkg::*; #(
  parameter  int unsigned G       = 16,  // side of the array
  parameter  int unsigned AxiBits = 64,  // bits of a beat
  localparam int unsigned IncW    = 3,   // bits of an increment
  localparam int unsigned LowW    = 8,   // bits that hold 32 cycles of increments up to 7
  localparam int unsigned WordW   = 48,  // bits of a counter that are kept: 32 days
  localparam int unsigned IndexW  = $clog2(NumCounters)
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,
  input  logic                               clear_i,      // set every counter to zero
  input  logic                               run_i,        // increments count
  input  logic [NumCounters-1:0][IncW-1:0]   increment_i,
  output logic                               settled_o,    // the words are up to date
  input  logic [IndexW-1:0]                  raddr_i,
  output logic [63:0]                        rdata_o
);

  localparam int unsigned MacShift  = 2 * $clog2(G);
  localparam int unsigned BeatShift = $clog2(AxiBits / 8);

  logic [NumCounters-1:0][LowW-1:0] low_q;
  logic [LowW-1:0]                  low;
  logic [IndexW-1:0]                index_q;
  logic [IndexW:0]                  left_q;   // words to visit until all are up to date
  logic                             first_q;  // the words are still those of the segment before
  logic                             sweep;
  logic [WordW-1:0]                 old, addend, read;

  assign settled_o = left_q == '0;
  assign sweep     = run_i || !settled_o;
  assign rdata_o   = 64'(read);

  always_comb begin
    low    = index_q < IndexW'(NumCounters) ? low_q[index_q] : '0;
    addend = WordW'(low);
    if (index_q == IndexW'(CounterMacsInt8)) addend = WordW'(low) << MacShift;
    if (index_q == IndexW'(CounterDdrReadBytes) || index_q == IndexW'(CounterDdrWriteBytes)) begin
      addend = WordW'(low) << BeatShift;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      index_q <= '0;
      first_q <= 1'b1;
      left_q  <= (IndexW + 1)'(2 ** IndexW);
    end else if (sweep) begin
      index_q <= index_q + 1'b1;
      if (&index_q) first_q <= 1'b0;
      left_q  <= run_i ? (IndexW + 1)'(2 ** IndexW) : left_q - 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) low_q <= '0;
    else if (sweep) begin
      for (int unsigned i = 0; i < NumCounters; i++) begin
        low_q[i] <= (index_q == IndexW'(i) ? '0 : low_q[i]) + (run_i ? LowW'(increment_i[i]) : '0);
      end
    end
  end

  ram_async #(
    .Width(WordW),
    .Depth(2 ** IndexW)
  ) u_words (
    .clk_i,
    .raddr_i(index_q),
    .rdata_o(old),
    .wen_i  (sweep),
    .waddr_i(index_q),
    .wdata_i((first_q ? '0 : old) + addend)
  );

  // The same words, for the register interface.
  ram_async #(
    .Width(WordW),
    .Depth(2 ** IndexW)
  ) u_read (
    .clk_i,
    .raddr_i,
    .rdata_o(read),
    .wen_i  (sweep),
    .waddr_i(index_q),
    .wdata_i((first_q ? '0 : old) + addend)
  );

endmodule
