// AXI4-Lite registers of hw/isa.py REGISTERS, and the life of a segment.
//
//   rest -> clear -> begin -> run -> settle -> rest, done                  every instruction is done
//                             run -> drain -> discard -> settle -> rest    error or soft reset
//
// clear_o empties engines, queues and tokens. On an error the first code, engine and
// instruction are kept, stop_o keeps the engines from starting more, and bursts under way end before the
// error is shown. A start while busy has no effect; a soft reset ends what runs and leaves neither done nor
// error. Read-only and unknown addresses take writes without effect and answer OKAY; SEG_* may
// be written while the core is busy, BASE_* not. One access at a time, 2 cycles each.
// Golden function: hw/isa.py REGISTERS, host drivers.

module control import joulegrad_pkg::*; #(
  parameter logic [31:0] ConfigHash = 32'd0
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic [9:0]  s_axi_awaddr_i,
  input  logic        s_axi_awvalid_i,
  output logic        s_axi_awready_o,
  input  logic [31:0] s_axi_wdata_i,
  input  logic [3:0]  s_axi_wstrb_i,
  input  logic        s_axi_wvalid_i,
  output logic        s_axi_wready_o,
  output logic [1:0]  s_axi_bresp_o,
  output logic        s_axi_bvalid_o,
  input  logic        s_axi_bready_i,
  input  logic [9:0]  s_axi_araddr_i,
  input  logic        s_axi_arvalid_i,
  output logic        s_axi_arready_o,
  output logic [31:0] s_axi_rdata_o,
  output logic [1:0]  s_axi_rresp_o,
  output logic        s_axi_rvalid_o,
  input  logic        s_axi_rready_i,
  output logic        irq_o,

  output logic        clear_o,       // one cycle: engines, queues and tokens to their start
  output logic        clear_counters_o,
  output logic        start_o,       // one cycle: begin fetching
  output logic        stop_o,        // start nothing more, end the bursts under way
  output logic        run_o,         // cycles count
  output logic [31:0] base_o,        // DDR address of byte offset 0
  output logic [31:0] seg_address_o,
  output logic [31:0] seg_count_o,
  input  logic        finished_i,    // every instruction is done
  input  logic        drained_i,     // no burst is under way
  input  logic [3:0]  error_i,       // ErrorNone or what has just gone wrong
  input  logic [2:0]  error_engine_i,
  input  logic [31:0] index_i,       // instruction fetched last

  output logic [4:0]  counter_o,     // counter to read
  input  logic [63:0] counter_data_i,
  input  logic        settled_i      // the counters are up to date
);

  typedef enum logic [2:0] {StRest, StClear, StBegin, StRun, StDrain, StDiscard, StSettle} state_e;

  state_e      state_q;
  logic        done_q, error_q, soft_q, pending_q, irq_enable_q;
  logic [3:0]  code_q;
  logic [2:0]  engine_q;
  logic [31:0] error_index_q, seg_addr_q, seg_count_q, base_lo_q, base_hi_q;
  logic        write, read, write_control, start, soft_reset, ending;
  logic [31:0] rdata, mask;
  logic [9:0]  waddr, raddr, counter_offset;  // of whole words
  logic        unused_addr;

  // Register interface: address and data of a write are taken together.
  assign write           = s_axi_awvalid_i && s_axi_wvalid_i && !s_axi_bvalid_o;
  assign s_axi_awready_o = write;
  assign s_axi_wready_o  = write;
  assign s_axi_bresp_o   = 2'b00;
  assign read            = s_axi_arvalid_i && !s_axi_rvalid_o;
  assign s_axi_arready_o = read;
  assign s_axi_rresp_o   = 2'b00;

  assign waddr       = {s_axi_awaddr_i[9:2], 2'b00};
  assign raddr       = {s_axi_araddr_i[9:2], 2'b00};
  assign unused_addr = ^{s_axi_awaddr_i[1:0], s_axi_araddr_i[1:0], counter_offset};

  assign mask = {{8{s_axi_wstrb_i[3]}}, {8{s_axi_wstrb_i[2]}}, {8{s_axi_wstrb_i[1]}}, {8{s_axi_wstrb_i[0]}}};

  assign write_control = write && waddr == RegCtrl && s_axi_wstrb_i[0];
  assign soft_reset    = write_control && s_axi_wdata_i[1];
  assign start         = write_control && s_axi_wdata_i[0] && !soft_reset && state_q == StRest;

  assign ending        = soft_q || soft_reset;

  assign counter_offset = raddr - RegCounters;
  assign counter_o      = counter_offset[7:3];

  always_comb begin
    rdata = '0;
    unique case (raddr)
      RegId:         rdata = Identity;
      RegVersion:    rdata = Version;
      RegConfigHash: rdata = ConfigHash;
      RegStatus:     rdata = {21'd0, engine_q, code_q, 1'b0, error_q, done_q, state_q != StRest};
      RegErrorIndex: rdata = error_index_q;
      RegSegAddr:    rdata = seg_addr_q;
      RegSegCount:   rdata = seg_count_q;
      RegBaseLo:     rdata = base_lo_q;
      RegBaseHi:     rdata = base_hi_q;
      RegIrqEnable:  rdata = 32'(irq_enable_q);
      default: begin
        if (raddr >= RegCounters && counter_offset < 10'(8 * NumCounters)) begin
          rdata = counter_offset[2] ? counter_data_i[63:32] : counter_data_i[31:0];
        end
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      s_axi_bvalid_o <= 1'b0;
      s_axi_rvalid_o <= 1'b0;
    end else begin
      if (write) s_axi_bvalid_o <= 1'b1;
      else if (s_axi_bready_i) s_axi_bvalid_o <= 1'b0;
      if (read) s_axi_rvalid_o <= 1'b1;
      else if (s_axi_rready_i) s_axi_rvalid_o <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (read) s_axi_rdata_o <= rdata;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      seg_addr_q   <= '0;
      seg_count_q  <= '0;
      base_lo_q    <= '0;
      base_hi_q    <= '0;
      irq_enable_q <= 1'b0;
    end else if (write) begin
      unique case (waddr)
        RegSegAddr:   seg_addr_q  <= (seg_addr_q & ~mask) | (s_axi_wdata_i & mask);
        RegSegCount:  seg_count_q <= (seg_count_q & ~mask) | (s_axi_wdata_i & mask);
        RegBaseLo:    if (state_q == StRest) base_lo_q <= (base_lo_q & ~mask) | (s_axi_wdata_i & mask);
        RegBaseHi:    if (state_q == StRest) base_hi_q <= (base_hi_q & ~mask) | (s_axi_wdata_i & mask);
        RegIrqEnable: if (s_axi_wstrb_i[0]) irq_enable_q <= s_axi_wdata_i[0];
        default: ;
      endcase
    end
  end

  // The life of a segment. Where it finishes and errs in one cycle, it errs.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q   <= StRest;
      done_q    <= 1'b0;
      error_q   <= 1'b0;
      soft_q    <= 1'b0;
      code_q    <= ErrorNone;
      engine_q  <= '0;
    end else begin
      unique case (state_q)
        StRest: begin
          if (start) state_q <= StClear;
          if (start || soft_reset) begin
            done_q   <= 1'b0;
            error_q  <= 1'b0;
            code_q   <= ErrorNone;
            engine_q <= '0;
          end
        end
        StClear: state_q <= StBegin;
        StBegin: state_q <= StRun;
        StRun: begin
          if (error_i != ErrorNone) begin
            state_q  <= StDrain;
            code_q   <= error_i;
            engine_q <= error_engine_i;
          end else if (soft_q) state_q <= StDrain;
          else if (finished_i) state_q <= StSettle;
        end
        StDrain:   if (drained_i) state_q <= StDiscard;
        StDiscard: state_q <= StSettle;
        default: if (settled_i) begin
          state_q <= StRest;
          if (ending) begin
            code_q   <= ErrorNone;
            engine_q <= '0;
          end else begin
            done_q  <= code_q == ErrorNone;
            error_q <= code_q != ErrorNone;
          end
        end
      endcase
      if (state_q == StRest || (state_q == StSettle && settled_i)) soft_q <= 1'b0;
      else if (soft_reset) soft_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) error_index_q <= '0;
    else if (state_q == StRun && error_i != ErrorNone) error_index_q <= index_i;
  end

  // The interrupt stands from the end of a segment until it is cleared.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) pending_q <= 1'b0;
    else if (state_q == StSettle && settled_i && !ending) pending_q <= 1'b1;
    else if (start || soft_reset || (write_control && s_axi_wdata_i[2])) pending_q <= 1'b0;
  end

  assign irq_o            = pending_q && irq_enable_q;
  assign clear_o          = state_q == StClear || state_q == StDiscard;
  assign clear_counters_o = state_q == StClear;
  assign start_o          = state_q == StBegin;
  assign stop_o           = state_q == StDrain || state_q == StDiscard;
  assign run_o            = state_q == StBegin || state_q == StRun || state_q == StDrain;
  assign base_o           = base_lo_q;
  assign seg_address_o    = base_lo_q + seg_addr_q;
  assign seg_count_o      = seg_count_q;

`ifndef SYNTHESIS
  DoneOrErrorA : assert property (@(posedge clk_i) disable iff (!rst_ni) !(done_q && error_q));
  ReadHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni)
    s_axi_rvalid_o && !s_axi_rready_i |=> s_axi_rvalid_o && $stable(s_axi_rdata_o));
`endif

endmodule
