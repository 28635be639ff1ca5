// The 64-bit counters of hw/isa.py COUNTERS.
//
//   value[i] = sum over the cycles of a segment of increment_i[i] << shift[i]
//
// Every counter is a few bits that take the increments; a sweep empties one of them per cycle and, a cycle later, adds
// what it held to its word in a LUT RAM, so many wide adders become one. When run_i falls, one more sweep brings
// every word up to date (settled_o). shift makes multiply-accumulates of slots and bytes of beats.
// Throughput one increment of each counter per cycle; latency up to 66 cycles. Golden: a dict of ints.

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
  logic [NumCounters-1:0][IncW-1:0] increment_q;
  logic                             run_q;
  logic [LowW-1:0]                  low;
  logic [IndexW-1:0]                index_q, word_q;
  logic [2**IndexW-1:0]             at_q;     // bit index_q
  logic [IndexW:0]                  left_q;   // words to visit until all are up to date
  logic                             first_q;  // the words are still those of the segment before
  logic                             sweep, add_q, fresh_q;
  logic [WordW-1:0]                 old, addend, addend_q, sum, read;

  // What comes is far from what it comes from.
  always_ff @(posedge clk_i) begin
    run_q       <= rst_ni && run_i && !clear_i;
    settled_o   <= rst_ni && left_q == '0 && !add_q && !run_q && !run_i && !clear_i;
    increment_q <= rst_ni && run_i && !clear_i ? increment_i : '0;
  end

  assign sweep     = run_q || left_q != '0;
  assign rdata_o   = 64'(read);

  always_comb begin
    low    = 32'(index_q) < NumCounters ? low_q[index_q] : '0;
    addend = WordW'(low);
    if (index_q == IndexW'(CounterMacsInt8)) addend = WordW'(low) << MacShift;
    if (index_q == IndexW'(CounterMacsInt4)) addend = WordW'(low) << (MacShift + 1);
    if (index_q == IndexW'(CounterDdrReadBytes) || index_q == IndexW'(CounterDdrWriteBytes)) begin
      addend = WordW'(low) << BeatShift;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      index_q <= '0;
      at_q    <= (2 ** IndexW)'(1);
      first_q <= 1'b1;
      left_q  <= (IndexW + 1)'(2 ** IndexW);
      add_q   <= 1'b0;
    end else begin
      add_q <= sweep;
      if (sweep) begin
        index_q <= index_q + 1'b1;
        at_q    <= {at_q[2**IndexW-2:0], at_q[2**IndexW-1]};
        if (&index_q) first_q <= 1'b0;
        left_q  <= run_q ? (IndexW + 1)'(2 ** IndexW) : left_q - 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (sweep) begin
      addend_q <= addend;
      word_q   <= index_q;
      fresh_q  <= first_q;
    end
  end

  assign sum = (fresh_q ? '0 : old) + addend_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) low_q <= '0;
    else if (sweep) begin
      for (int unsigned i = 0; i < NumCounters; i++) begin
        low_q[i] <= LowW'(increment_q[i]) + (low_q[i] & {LowW{!at_q[i]}});
      end
    end
  end

  ram_async #(
    .Width(WordW),
    .Depth(2 ** IndexW)
  ) u_words (
    .clk_i,
    .raddr_i(word_q),
    .rdata_o(old),
    .wen_i  (add_q),
    .waddr_i(word_q),
    .wdata_i(sum)
  );

  // The same words, for the register interface.
  ram_async #(
    .Width(WordW),
    .Depth(2 ** IndexW)
  ) u_read (
    .clk_i,
    .raddr_i,
    .rdata_o(read),
    .wen_i  (add_q),
    .waddr_i(word_q),
    .wdata_i(sum)
  );

endmodule
