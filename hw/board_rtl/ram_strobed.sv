// Memory of Depth words with byte strobes and a register before and behind it: one read port, one write port, one clock.
//
//   rdata_o(t + 3) = mem[raddr_i(t)]; a write at t is seen by every read that comes after it
//
// One read and one write per cycle; rdata_o is valid three cycles behind ren_i, for one cycle. A read in the cycle of a
// write of the same word returns any value (no_rw_check, see ram_1r1w). Infers block RAM. Golden: an array.

module ram_strobed #(
  parameter  int unsigned Width = 64,    // bits of a word, a multiple of 8
  parameter  int unsigned Depth = 4096,  // words
  localparam int unsigned Bytes = Width / 8,
  localparam int unsigned AddrW = $clog2(Depth)
) (
  input  logic             clk_i,
  input  logic             ren_i,
  input  logic [AddrW-1:0] raddr_i,
  output logic [Width-1:0] rdata_o,
  input  logic             wen_i,
  input  logic [AddrW-1:0] waddr_i,
  input  logic [Width-1:0] wdata_i,
  input  logic [Bytes-1:0] wstrb_i
);

  (* no_rw_check *)
  logic [Width-1:0] mem_q [Depth] /* verilator public_flat_rd */;
  logic [Width-1:0] word_q, wdata_q;
  logic [AddrW-1:0] raddr_q, waddr_q;
  logic [Bytes-1:0] wstrb_q;
  logic             ren_q, read_q;

  always_ff @(posedge clk_i) begin
    ren_q   <= ren_i;
    read_q  <= ren_q;
    wstrb_q <= wen_i ? wstrb_i : '0;
    if (ren_i) raddr_q <= raddr_i;
    if (wen_i) begin
      waddr_q <= waddr_i;
      wdata_q <= wdata_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ren_q) word_q <= mem_q[raddr_q];
    for (int unsigned i = 0; i < Bytes; i++) begin
      if (wstrb_q[i]) mem_q[waddr_q][8*i +: 8] <= wdata_q[8*i +: 8];
    end
  end

  always_ff @(posedge clk_i) begin
    if (read_q) rdata_o <= word_q;
  end

endmodule
