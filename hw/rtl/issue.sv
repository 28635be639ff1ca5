// The instruction queue of one engine: starts the oldest instruction when its tokens are there.
//
//   start:  every engine of `wait_` has a token for this one; one of each is taken
//   done:   one token to every engine of the `signal_` of the oldest instruction under way
//
// At most UnderWay instructions are between start and done. start_valid_o and instr_o are held until
// taken unless stop_i rises. Latency 1 cycle through the queue.

module issue import joulegrad_pkg::*; #(
  parameter  int unsigned Bits     = 184,  // bits of the engine's instruction
  parameter  int unsigned Depth    = 8,    // instructions in the queue, a power of two
  parameter  int unsigned UnderWay = 4,    // instructions between start and done, a power of two
  localparam int unsigned AddrW    = $clog2(Depth),
  localparam int unsigned UnderW   = $clog2(UnderWay)
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  stop_i,  // start nothing more

  input  logic                  in_valid_i,
  output logic                  in_ready_o,
  input  logic [Bits-1:0]       in_instr_i,

  input  logic [NumEngines-1:0] available_i,  // tokens that are there for this engine, by giver
  output logic [NumEngines-1:0] take_o,       // tokens taken in this cycle, by giver
  output logic [NumEngines-1:0] give_o,       // tokens given in this cycle, by taker

  output logic                  start_valid_o,
  input  logic                  start_ready_i,
  output logic [Bits-1:0]       instr_o,
  input  logic                  done_i,

  output logic                  queued_o,    // an instruction waits to be started
  output logic [NumEngines-1:0] missing_o,   // tokens it lacks, by giver
  output logic                  under_way_o  // an instruction is between start and done
);

  localparam header_t HeaderZero = '0;

  header_t               header, next_header, in_header;
  logic [NumEngines-1:0] wait_q, signal_q;  // of the oldest in the queue
  logic [AddrW-1:0]      waddr_q, raddr_q;
  logic [AddrW:0]        queued_q;
  logic [UnderW-1:0]     under_waddr_q, under_raddr_q;
  logic [UnderW:0]       under_q;
  logic [NumEngines-1:0] signal;
  logic                  push, start;
  logic                  unused_header;

  assign in_header     = in_instr_i[$bits(HeaderZero)-1:0];
  assign header        = !start || (queued_q[AddrW:1] == '0) ? in_header : next_header;
  assign unused_header = ^{header.opcode, header.spare};

  assign in_ready_o    = !queued_q[AddrW];
  assign push          = in_valid_i && in_ready_o;
  assign queued_o      = queued_q != '0;
  assign missing_o     = queued_o ? wait_q & ~available_i : '0;
  assign start_valid_o = queued_o && missing_o == '0 && !under_q[UnderW] && !stop_i;
  assign start         = start_valid_o && start_ready_i;
  assign take_o        = start ? wait_q : '0;
  assign give_o        = done_i ? signal : '0;
  assign under_way_o   = under_q != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      waddr_q       <= '0;
      raddr_q       <= '0;
      queued_q      <= '0;
      under_waddr_q <= '0;
      under_raddr_q <= '0;
      under_q       <= '0;
    end else begin
      if (push) waddr_q <= waddr_q + 1'b1;
      if (start) begin
        raddr_q       <= raddr_q + 1'b1;
        under_waddr_q <= under_waddr_q + 1'b1;
      end
      if (done_i) under_raddr_q <= under_raddr_q + 1'b1;
      if (push != start) queued_q <= push ? queued_q + 1'b1 : queued_q - 1'b1;
      if (start != done_i) under_q <= start ? under_q + 1'b1 : under_q - 1'b1;
    end
  end

  // What the start depends on does not come out of the memory: at a start the next in the queue, or what comes just then.
  always_ff @(posedge clk_i) begin
    if (start || !queued_o) begin
      wait_q   <= header.wait_;
      signal_q <= header.signal_;
    end
  end

  ram_async #(
    .Width($bits(HeaderZero)),
    .Depth(Depth)
  ) u_headers (
    .clk_i,
    .raddr_i(raddr_q + 1'b1),
    .rdata_o(next_header),
    .wen_i  (push),
    .waddr_i(waddr_q),
    .wdata_i(in_header)
  );

  ram_async #(
    .Width(Bits),
    .Depth(Depth)
  ) u_queue (
    .clk_i,
    .raddr_i(raddr_q),
    .rdata_o(instr_o),
    .wen_i  (push),
    .waddr_i(waddr_q),
    .wdata_i(in_instr_i)
  );

  ram_async #(
    .Width(NumEngines),
    .Depth(UnderWay)
  ) u_signals (
    .clk_i,
    .raddr_i(under_raddr_q),
    .rdata_o(signal),
    .wen_i  (start),
    .waddr_i(under_waddr_q),
    .wdata_i(signal_q)
  );

`ifndef SYNTHESIS
  DoneOfOneA : assert property (@(posedge clk_i) disable iff (!rst_ni) done_i |-> under_way_o);
  HeldUntilTakenA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    start_valid_o && !start_ready_i |=> stop_i || (start_valid_o && $stable(instr_o)));
`endif

endmodule
