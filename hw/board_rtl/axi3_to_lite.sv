// AXI3 slave to AXI4-Lite master, for a processor's general-purpose port: bursts become single accesses.
//
//   beat k of a burst goes to   address + (burst is INCR ? k << size : 0)
//
// Reads and writes run beside each other, one burst of each at a time; ids are handed back. A WRAP burst is answered
// SLVERR without an access (processors wrap cache lines only, and registers are not cached). An exclusive access is
// an ordinary one answered OKAY, which says that it was not exclusive. A beat takes at least 3 cycles (write), 2 (read).
// Golden function: none; cocotbext-axi's memory model.

module axi3_to_lite #(
  parameter int unsigned IdBits   = 12,
  parameter int unsigned AddrBits = 10  // of the registers; the bits above them are the port's window
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic [IdBits-1:0]   s_axi_arid_i,
  input  logic [AddrBits-1:0] s_axi_araddr_i,
  input  logic [3:0]          s_axi_arlen_i,
  input  logic [1:0]          s_axi_arsize_i,
  input  logic [1:0]          s_axi_arburst_i,
  input  logic                s_axi_arvalid_i,
  output logic                s_axi_arready_o,
  output logic [IdBits-1:0]   s_axi_rid_o,
  output logic [31:0]         s_axi_rdata_o,
  output logic [1:0]          s_axi_rresp_o,
  output logic                s_axi_rlast_o,
  output logic                s_axi_rvalid_o,
  input  logic                s_axi_rready_i,
  input  logic [IdBits-1:0]   s_axi_awid_i,
  input  logic [AddrBits-1:0] s_axi_awaddr_i,
  input  logic [1:0]          s_axi_awsize_i,
  input  logic [1:0]          s_axi_awburst_i,
  input  logic                s_axi_awvalid_i,
  output logic                s_axi_awready_o,
  input  logic [31:0]         s_axi_wdata_i,
  input  logic [3:0]          s_axi_wstrb_i,
  input  logic                s_axi_wlast_i,
  input  logic                s_axi_wvalid_i,
  output logic                s_axi_wready_o,
  output logic [IdBits-1:0]   s_axi_bid_o,
  output logic [1:0]          s_axi_bresp_o,
  output logic                s_axi_bvalid_o,
  input  logic                s_axi_bready_i,

  output logic [AddrBits-1:0] lite_awaddr_o,
  output logic                lite_awvalid_o,
  input  logic                lite_awready_i,
  output logic [31:0]         lite_wdata_o,
  output logic [3:0]          lite_wstrb_o,
  output logic                lite_wvalid_o,
  input  logic                lite_wready_i,
  input  logic [1:0]          lite_bresp_i,
  input  logic                lite_bvalid_i,
  output logic                lite_bready_o,
  output logic [AddrBits-1:0] lite_araddr_o,
  output logic                lite_arvalid_o,
  input  logic                lite_arready_i,
  input  logic [31:0]         lite_rdata_i,
  input  logic [1:0]          lite_rresp_i,
  input  logic                lite_rvalid_i,
  output logic                lite_rready_o
);

  localparam logic [1:0] BurstFixed = 2'b00;
  localparam logic [1:0] BurstWrap  = 2'b10;
  localparam logic [1:0] SlaveError = 2'b10;

  // Read.
  typedef enum logic [1:0] {RdIdle, RdAsk, RdAnswer, RdRefuse} read_e;
  read_e             read_q;
  logic [3:0]        read_left_q;
  logic [1:0]        read_size_q;
  logic              read_fixed_q, read_beat;

  assign s_axi_arready_o = read_q == RdIdle;
  assign lite_arvalid_o  = read_q == RdAsk;
  assign s_axi_rvalid_o  = read_q == RdRefuse || (read_q == RdAnswer && lite_rvalid_i);
  assign s_axi_rdata_o   = read_q == RdRefuse ? '0 : lite_rdata_i;
  assign s_axi_rresp_o   = read_q == RdRefuse ? SlaveError : lite_rresp_i;
  assign s_axi_rlast_o   = read_left_q == '0;
  assign lite_rready_o   = read_q == RdAnswer && s_axi_rready_i;
  assign read_beat       = s_axi_rvalid_o && s_axi_rready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_q <= RdIdle;
    end else begin
      unique case (read_q)
        RdIdle:   if (s_axi_arvalid_i) read_q <= s_axi_arburst_i == BurstWrap ? RdRefuse : RdAsk;
        RdAsk:    if (lite_arready_i) read_q <= RdAnswer;
        RdAnswer: if (read_beat) read_q <= s_axi_rlast_o ? RdIdle : RdAsk;
        default:  if (read_beat && s_axi_rlast_o) read_q <= RdIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (s_axi_arvalid_i && s_axi_arready_o) begin
      s_axi_rid_o   <= s_axi_arid_i;
      lite_araddr_o <= s_axi_araddr_i;
      read_left_q   <= s_axi_arlen_i;
      read_size_q   <= s_axi_arsize_i;
      read_fixed_q  <= s_axi_arburst_i == BurstFixed;
    end else if (read_beat) begin
      read_left_q <= read_left_q - 1'b1;
      if (!read_fixed_q) lite_araddr_o <= lite_araddr_o + (AddrBits'(1) << read_size_q);
    end
  end

  // Write: the address first, then beat by beat.
  typedef enum logic [2:0] {WrIdle, WrTake, WrSend, WrWait, WrRefuse, WrAnswer} write_e;
  write_e            write_q;
  logic [1:0]        write_size_q;
  logic              write_fixed_q, write_last_q, address_sent_q, data_sent_q;
  logic              address_done, data_done;

  assign s_axi_awready_o = write_q == WrIdle;
  assign s_axi_wready_o  = write_q == WrTake || write_q == WrRefuse;
  assign s_axi_bvalid_o  = write_q == WrAnswer;
  assign lite_awvalid_o  = write_q == WrSend && !address_sent_q;
  assign lite_wvalid_o   = write_q == WrSend && !data_sent_q;
  assign lite_bready_o   = write_q == WrWait;
  assign address_done    = address_sent_q || lite_awready_i;
  assign data_done       = data_sent_q || lite_wready_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= WrIdle;
    end else begin
      unique case (write_q)
        WrIdle:   if (s_axi_awvalid_i) write_q <= s_axi_awburst_i == BurstWrap ? WrRefuse : WrTake;
        WrTake:   if (s_axi_wvalid_i) write_q <= WrSend;
        WrSend:   if (address_done && data_done) write_q <= WrWait;
        WrWait:   if (lite_bvalid_i) write_q <= write_last_q ? WrAnswer : WrTake;
        WrRefuse: if (s_axi_wvalid_i && s_axi_wlast_i) write_q <= WrAnswer;
        default:  if (s_axi_bready_i) write_q <= WrIdle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (write_q != WrSend) begin
      address_sent_q <= 1'b0;
      data_sent_q    <= 1'b0;
    end else begin
      address_sent_q <= address_done;
      data_sent_q    <= data_done;
    end
  end

  always_ff @(posedge clk_i) begin
    if (s_axi_awvalid_i && s_axi_awready_o) begin
      s_axi_bid_o   <= s_axi_awid_i;
      lite_awaddr_o <= s_axi_awaddr_i;
      write_size_q  <= s_axi_awsize_i;
      write_fixed_q <= s_axi_awburst_i == BurstFixed;
      s_axi_bresp_o <= s_axi_awburst_i == BurstWrap ? SlaveError : 2'b00;
    end else if (lite_bvalid_i && lite_bready_o) begin
      s_axi_bresp_o <= s_axi_bresp_o | lite_bresp_i;
      if (!write_fixed_q) lite_awaddr_o <= lite_awaddr_o + (AddrBits'(1) << write_size_q);
    end
    if (s_axi_wvalid_i && s_axi_wready_o) begin
      lite_wdata_o <= s_axi_wdata_i;
      lite_wstrb_o <= s_axi_wstrb_i;
      write_last_q <= s_axi_wlast_i;
    end
  end

`ifndef SYNTHESIS
  ReadHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni) s_axi_rvalid_o && !s_axi_rready_i |=>
    s_axi_rvalid_o && $stable({s_axi_rid_o, s_axi_rdata_o, s_axi_rresp_o, s_axi_rlast_o}));
  WriteHeldA : assert property (@(posedge clk_i) disable iff (!rst_ni) s_axi_bvalid_o && !s_axi_bready_i |=>
    s_axi_bvalid_o && $stable({s_axi_bid_o, s_axi_bresp_o}));
`endif

endmodule
