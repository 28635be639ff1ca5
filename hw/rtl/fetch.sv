// Instruction fetch: reads a segment from DDR ahead of its use and hands the instructions out in order.
//
// One burst of 64 bytes per instruction, at most Ahead under way or waiting in the buffer; an instruction
// whose bits hw/isa.py check() refuses is not handed out but raises ErrorMalformed. The hand-over blocks
// while the queue of the instruction's engine is full. After stop_i no burst is begun and nothing is
// handed out; idle_o rises when the bursts under way have ended.
// Throughput one instruction per 512 / AxiBits + 2 cycles. Golden function: hw/isa.py decode().

module fetch import joulegrad_pkg::*; #(
  parameter  int unsigned AxiBits  = 64,  // bits of a beat
  parameter  int unsigned PassTaps = 2,   // 1: paired taps are malformed
  parameter  int unsigned Ahead    = 4,   // instructions in the buffer, a power of two
  localparam int unsigned Beats    = InstructionBits / AxiBits,
  localparam int unsigned BeatW    = $clog2(Beats),
  localparam int unsigned Depth    = Ahead * Beats,
  localparam int unsigned AddrW    = $clog2(Depth),
  localparam int unsigned AheadW   = $clog2(Ahead + 1)
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,

  input  logic                       start_i,    // one cycle: begin at address_i
  input  logic [31:0]                address_i,  // byte address, a multiple of 64
  input  logic [31:0]                count_i,    // instructions
  input  logic                       stop_i,
  output logic                       idle_o,     // no burst under way
  output logic                       done_o,     // every instruction has been handed out
  output logic [31:0]                index_o,    // instruction handed out or refused last
  output logic [3:0]                 error_o,

  // Read port: one id, responses in order, always taken.
  output logic                       arvalid_o,
  input  logic                       arready_i,
  output logic [31:0]                araddr_o,
  input  logic                       rvalid_i,
  input  logic [AxiBits-1:0]         rdata_i,
  input  logic [1:0]                 rresp_i,

  // Instructions: the valid bit of the engine is set.
  output logic [NumEngines-1:0]      instr_valid_o,
  input  logic [NumEngines-1:0]      instr_ready_i,
  output logic [InstructionBits-1:0] instr_o
);

  typedef enum logic [1:0] {StFill, StCheck, StHand} state_e;

  state_e                     state_q;
  logic                       arvalid_q, misaligned_q;
  logic [NumEngines-1:0]      malformed_q, accepted;  // by engine
  logic [31:0]                address_q, to_read_q, to_hand_q, index_q;
  logic [AheadW-1:0]          held_q;       // instructions asked for that have not left the buffer
  logic [AddrW:0]             expected_q;   // beats asked for that have not arrived
  logic [AddrW:0]             buffered_q;   // beats in the buffer
  logic [AddrW-1:0]           waddr_q, raddr_q;
  logic [BeatW-1:0]           beat_q;
  logic [InstructionBits-1:0] instr_q;
  logic [AxiBits-1:0]         beat;
  logic                       begin_burst, take_beat, take_last, handed;

  assign begin_burst = !arvalid_q && to_read_q != '0 && held_q != AheadW'(Ahead) && !stop_i && !misaligned_q;
  assign take_beat   = state_q == StFill && buffered_q != '0 && !stop_i;
  assign take_last   = take_beat && beat_q == BeatW'(Beats - 1);

  // One-hot of the opcode, which numbers the engines from 1.
  always_comb begin
    for (int unsigned e = 0; e < NumEngines; e++) accepted[e] = instr_q[3:0] == 4'(e + 1) && !malformed_q[e];
  end
  assign instr_valid_o = state_q == StHand && !stop_i ? accepted : '0;
  assign handed    = |(instr_valid_o & instr_ready_i);
  assign instr_o   = instr_q;
  assign arvalid_o = arvalid_q;
  assign araddr_o  = address_q;
  assign idle_o    = !arvalid_q && expected_q == '0;
  assign done_o    = to_hand_q == '0;
  assign index_o   = index_q;

  always_comb begin
    error_o = ErrorNone;
    if (state_q == StHand && accepted == '0) error_o = ErrorMalformed;
    if (misaligned_q && to_read_q != '0) error_o = ErrorBadAddress;
    if (rvalid_i && rresp_i != '0) error_o = ErrorReadError;
  end

  // Bursts.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      arvalid_q    <= 1'b0;
      to_read_q    <= '0;
      expected_q   <= '0;
      misaligned_q <= 1'b0;
      address_q    <= '0;
    end else if (start_i) begin
      to_read_q    <= count_i;
      address_q    <= address_i;
      misaligned_q <= address_i[5:0] != '0;
    end else begin
      if (begin_burst) arvalid_q <= 1'b1;
      if (arvalid_q && arready_i) begin
        arvalid_q <= 1'b0;
        to_read_q <= to_read_q - 32'd1;
        address_q <= address_q + 32'd64;
      end
      expected_q <= expected_q + (begin_burst ? (AddrW + 1)'(Beats) : '0) - (AddrW + 1)'(rvalid_i);
    end
  end

  // The buffer, and the instruction that is put together from it.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      held_q     <= '0;
      buffered_q <= '0;
      waddr_q    <= '0;
      raddr_q    <= '0;
      beat_q     <= '0;
    end else begin
      held_q     <= held_q + AheadW'(begin_burst) - AheadW'(take_last);
      buffered_q <= buffered_q + (AddrW + 1)'(rvalid_i) - (AddrW + 1)'(take_beat);
      if (rvalid_i) waddr_q <= waddr_q + 1'b1;
      if (take_beat) begin
        raddr_q <= raddr_q + 1'b1;
        beat_q  <= take_last ? '0 : beat_q + 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (take_beat) instr_q <= {beat, instr_q[InstructionBits-1:AxiBits]};
    if (state_q == StCheck) malformed_q <= malformed(instr_q, PassTaps == 2);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q   <= StFill;
      to_hand_q <= '0;
      index_q   <= '0;
    end else if (start_i) begin
      to_hand_q <= count_i;
      index_q   <= '1;
    end else begin
      unique case (state_q)
        StFill: if (take_last) state_q <= StCheck;
        StCheck: begin
          state_q <= StHand;
          index_q <= index_q + 32'd1;
        end
        default: if (handed) begin
          state_q   <= StFill;
          to_hand_q <= to_hand_q - 32'd1;
        end
      endcase
    end
  end

  ram_async #(
    .Width(AxiBits),
    .Depth(Depth)
  ) u_buffer (
    .clk_i,
    .raddr_i(raddr_q),
    .rdata_o(beat),
    .wen_i  (rvalid_i),
    .waddr_i(waddr_q),
    .wdata_i(rdata_i)
  );

`ifndef SYNTHESIS
  AskedForA : assert property (@(posedge clk_i) disable iff (!rst_ni) rvalid_i |-> expected_q != '0);
  HeldUntilTakenA : assert property (@(posedge clk_i) disable iff (!rst_ni || stop_i)
    |instr_valid_o && !handed |=> stop_i || (|instr_valid_o && $stable(instr_o)));
  AddressHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    arvalid_o && !arready_i |=> arvalid_o && $stable(araddr_o));
`endif

endmodule
