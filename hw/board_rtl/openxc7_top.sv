// Zynq-7000 without a block design: the processing system instantiated directly, for flows that have no vendor IP.
//
// Clock 0 of the processing system clocks everything; the board's own boot loader has set it and the DDR. Control is
// at the start of general-purpose port 0 (0x4000_0000), memory behind HP ports 0 and 2, the interrupt is F2P 0
// (61 of the interrupt controller). No pin of the programmable logic is used.
// Golden function: hw/golden.py run_segment().

module openxc7_top #(
  parameter  int unsigned G            = 16,
  parameter  int unsigned AWords       = 8192,
  parameter  int unsigned WWords       = 4096,
  parameter  int unsigned AccRows      = 1024,
  parameter  int unsigned VectorWords  = 2048,
  parameter  int unsigned MaskWords    = 512,
  parameter  int unsigned TableWords   = 4096,
  parameter  int unsigned ProgramWords = 1024,
  parameter  int unsigned ListWords    = 512,
  parameter  int unsigned BlockWords   = 64,
  parameter  logic [31:0] ConfigHash   = 32'd0,
  localparam int unsigned AxiBits      = 64,
  localparam int unsigned StrbBits     = AxiBits / 8
);

  logic        clk, rst_n, irq;
  logic [3:0]  fclk, fclk_rst_n;

  BUFG u_clock (
    .I(fclk[0]),
    .O(clk)
  );

  reset_synchroniser u_reset (
    .clk_i (clk),
    .rst_ni(fclk_rst_n[0]),
    .rst_no(rst_n)
  );

  logic [11:0]          gp_arid;
  logic [31:0]          gp_araddr;
  logic [3:0]           gp_arlen;
  logic [1:0]           gp_arsize;
  logic [1:0]           gp_arburst;
  logic                 gp_arvalid;
  logic                 gp_arready;
  logic [11:0]          gp_rid;
  logic [31:0]          gp_rdata;
  logic [1:0]           gp_rresp;
  logic                 gp_rlast;
  logic                 gp_rvalid;
  logic                 gp_rready;
  logic [11:0]          gp_awid;
  logic [31:0]          gp_awaddr;
  logic [1:0]           gp_awsize;
  logic [1:0]           gp_awburst;
  logic                 gp_awvalid;
  logic                 gp_awready;
  logic [31:0]          gp_wdata;
  logic [3:0]           gp_wstrb;
  logic                 gp_wlast;
  logic                 gp_wvalid;
  logic                 gp_wready;
  logic [11:0]          gp_bid;
  logic [1:0]           gp_bresp;
  logic                 gp_bvalid;
  logic                 gp_bready;
  logic [9:0]           lite_awaddr;
  logic                 lite_awvalid;
  logic                 lite_awready;
  logic [31:0]          lite_wdata;
  logic [3:0]           lite_wstrb;
  logic                 lite_wvalid;
  logic                 lite_wready;
  logic [1:0]           lite_bresp;
  logic                 lite_bvalid;
  logic                 lite_bready;
  logic [9:0]           lite_araddr;
  logic                 lite_arvalid;
  logic                 lite_arready;
  logic [31:0]          lite_rdata;
  logic [1:0]           lite_rresp;
  logic                 lite_rvalid;
  logic                 lite_rready;
  logic [5:0]           hp0_arid;
  logic [31:0]          hp0_araddr;
  logic [3:0]           hp0_arlen;
  logic [2:0]           hp0_arsize;
  logic [1:0]           hp0_arburst;
  logic [3:0]           hp0_arcache;
  logic [2:0]           hp0_arprot;
  logic [1:0]           hp0_arlock;
  logic [3:0]           hp0_arqos;
  logic                 hp0_arvalid, hp0_arready;
  logic [5:0]           hp0_rid;
  logic [AxiBits-1:0]   hp0_rdata;
  logic [1:0]           hp0_rresp;
  logic                 hp0_rlast;
  logic                 hp0_rvalid, hp0_rready;
  logic [5:0]           hp0_awid;
  logic [31:0]          hp0_awaddr;
  logic [3:0]           hp0_awlen;
  logic [2:0]           hp0_awsize;
  logic [1:0]           hp0_awburst;
  logic [3:0]           hp0_awcache;
  logic [2:0]           hp0_awprot;
  logic [1:0]           hp0_awlock;
  logic [3:0]           hp0_awqos;
  logic                 hp0_awvalid, hp0_awready;
  logic [5:0]           hp0_wid;
  logic [AxiBits-1:0]   hp0_wdata;
  logic [StrbBits-1:0]  hp0_wstrb;
  logic                 hp0_wlast;
  logic                 hp0_wvalid, hp0_wready;
  logic [5:0]           hp0_bid;
  logic [1:0]           hp0_bresp;
  logic                 hp0_bvalid, hp0_bready;
  logic [5:0]           hp1_arid;
  logic [31:0]          hp1_araddr;
  logic [3:0]           hp1_arlen;
  logic [2:0]           hp1_arsize;
  logic [1:0]           hp1_arburst;
  logic [3:0]           hp1_arcache;
  logic [2:0]           hp1_arprot;
  logic [1:0]           hp1_arlock;
  logic [3:0]           hp1_arqos;
  logic                 hp1_arvalid, hp1_arready;
  logic [5:0]           hp1_rid;
  logic [AxiBits-1:0]   hp1_rdata;
  logic [1:0]           hp1_rresp;
  logic                 hp1_rlast;
  logic                 hp1_rvalid, hp1_rready;
  logic [5:0]           hp1_awid;
  logic [31:0]          hp1_awaddr;
  logic [3:0]           hp1_awlen;
  logic [2:0]           hp1_awsize;
  logic [1:0]           hp1_awburst;
  logic [3:0]           hp1_awcache;
  logic [2:0]           hp1_awprot;
  logic [1:0]           hp1_awlock;
  logic [3:0]           hp1_awqos;
  logic                 hp1_awvalid, hp1_awready;
  logic [5:0]           hp1_wid;
  logic [AxiBits-1:0]   hp1_wdata;
  logic [StrbBits-1:0]  hp1_wstrb;
  logic                 hp1_wlast;
  logic                 hp1_wvalid, hp1_wready;
  logic [5:0]           hp1_bid;
  logic [1:0]           hp1_bresp;
  logic                 hp1_bvalid, hp1_bready;
  logic                 unused_gp, unused_hp;

  // The window of the port is decoded by the processing system; sizes reach 8 bytes at most.
  assign unused_gp = ^{gp_araddr[31:10], gp_awaddr[31:10], fclk[3:1], fclk_rst_n[3:1]};
  assign unused_hp = ^{hp0_arsize[2], hp0_awsize[2], hp1_arsize[2], hp1_awsize[2]};

  axi3_to_lite u_control (
    .clk_i          (clk),
    .rst_ni         (rst_n),
    .s_axi_arid_i   (gp_arid),
    .s_axi_araddr_i (gp_araddr[9:0]),
    .s_axi_arlen_i  (gp_arlen),
    .s_axi_arsize_i (gp_arsize),
    .s_axi_arburst_i(gp_arburst),
    .s_axi_arvalid_i(gp_arvalid),
    .s_axi_arready_o(gp_arready),
    .s_axi_rid_o    (gp_rid),
    .s_axi_rdata_o  (gp_rdata),
    .s_axi_rresp_o  (gp_rresp),
    .s_axi_rlast_o  (gp_rlast),
    .s_axi_rvalid_o (gp_rvalid),
    .s_axi_rready_i (gp_rready),
    .s_axi_awid_i   (gp_awid),
    .s_axi_awaddr_i (gp_awaddr[9:0]),
    .s_axi_awsize_i (gp_awsize),
    .s_axi_awburst_i(gp_awburst),
    .s_axi_awvalid_i(gp_awvalid),
    .s_axi_awready_o(gp_awready),
    .s_axi_wdata_i  (gp_wdata),
    .s_axi_wstrb_i  (gp_wstrb),
    .s_axi_wlast_i  (gp_wlast),
    .s_axi_wvalid_i (gp_wvalid),
    .s_axi_wready_o (gp_wready),
    .s_axi_bid_o    (gp_bid),
    .s_axi_bresp_o  (gp_bresp),
    .s_axi_bvalid_o (gp_bvalid),
    .s_axi_bready_i (gp_bready),
    .lite_awaddr_o  (lite_awaddr),
    .lite_awvalid_o (lite_awvalid),
    .lite_awready_i (lite_awready),
    .lite_wdata_o   (lite_wdata),
    .lite_wstrb_o   (lite_wstrb),
    .lite_wvalid_o  (lite_wvalid),
    .lite_wready_i  (lite_wready),
    .lite_bresp_i   (lite_bresp),
    .lite_bvalid_i  (lite_bvalid),
    .lite_bready_o  (lite_bready),
    .lite_araddr_o  (lite_araddr),
    .lite_arvalid_o (lite_arvalid),
    .lite_arready_i (lite_arready),
    .lite_rdata_i   (lite_rdata),
    .lite_rresp_i   (lite_rresp),
    .lite_rvalid_i  (lite_rvalid),
    .lite_rready_o  (lite_rready)
  );

  joulegrad_zynq #(
    .G(G), .AWords(AWords), .WWords(WWords), .AccRows(AccRows), .VectorWords(VectorWords),
    .MaskWords(MaskWords), .TableWords(TableWords), .ProgramWords(ProgramWords), .ListWords(ListWords), .BlockWords(BlockWords),
    .AxiBits(AxiBits), .ConfigHash(ConfigHash)
  ) u_zynq (
    .clk_i        (clk),
    .rst_ni       (rst_n),
    .irq_o        (irq),
    .s_axi_awaddr_i (lite_awaddr),
    .s_axi_awvalid_i(lite_awvalid),
    .s_axi_awready_o(lite_awready),
    .s_axi_wdata_i  (lite_wdata),
    .s_axi_wstrb_i  (lite_wstrb),
    .s_axi_wvalid_i (lite_wvalid),
    .s_axi_wready_o (lite_wready),
    .s_axi_bresp_o  (lite_bresp),
    .s_axi_bvalid_o (lite_bvalid),
    .s_axi_bready_i (lite_bready),
    .s_axi_araddr_i (lite_araddr),
    .s_axi_arvalid_i(lite_arvalid),
    .s_axi_arready_o(lite_arready),
    .s_axi_rdata_o  (lite_rdata),
    .s_axi_rresp_o  (lite_rresp),
    .s_axi_rvalid_o (lite_rvalid),
    .s_axi_rready_i (lite_rready),
    .hp0_arid_o     (hp0_arid),
    .hp0_araddr_o   (hp0_araddr),
    .hp0_arlen_o    (hp0_arlen),
    .hp0_arsize_o   (hp0_arsize),
    .hp0_arburst_o  (hp0_arburst),
    .hp0_arcache_o  (hp0_arcache),
    .hp0_arprot_o   (hp0_arprot),
    .hp0_arlock_o   (hp0_arlock),
    .hp0_arqos_o    (hp0_arqos),
    .hp0_arvalid_o  (hp0_arvalid),
    .hp0_arready_i  (hp0_arready),
    .hp0_rid_i      (hp0_rid),
    .hp0_rdata_i    (hp0_rdata),
    .hp0_rresp_i    (hp0_rresp),
    .hp0_rlast_i    (hp0_rlast),
    .hp0_rvalid_i   (hp0_rvalid),
    .hp0_rready_o   (hp0_rready),
    .hp0_awid_o     (hp0_awid),
    .hp0_awaddr_o   (hp0_awaddr),
    .hp0_awlen_o    (hp0_awlen),
    .hp0_awsize_o   (hp0_awsize),
    .hp0_awburst_o  (hp0_awburst),
    .hp0_awcache_o  (hp0_awcache),
    .hp0_awprot_o   (hp0_awprot),
    .hp0_awlock_o   (hp0_awlock),
    .hp0_awqos_o    (hp0_awqos),
    .hp0_awvalid_o  (hp0_awvalid),
    .hp0_awready_i  (hp0_awready),
    .hp0_wid_o      (hp0_wid),
    .hp0_wdata_o    (hp0_wdata),
    .hp0_wstrb_o    (hp0_wstrb),
    .hp0_wlast_o    (hp0_wlast),
    .hp0_wvalid_o   (hp0_wvalid),
    .hp0_wready_i   (hp0_wready),
    .hp0_bid_i      (hp0_bid),
    .hp0_bresp_i    (hp0_bresp),
    .hp0_bvalid_i   (hp0_bvalid),
    .hp0_bready_o   (hp0_bready),
    .hp1_arid_o     (hp1_arid),
    .hp1_araddr_o   (hp1_araddr),
    .hp1_arlen_o    (hp1_arlen),
    .hp1_arsize_o   (hp1_arsize),
    .hp1_arburst_o  (hp1_arburst),
    .hp1_arcache_o  (hp1_arcache),
    .hp1_arprot_o   (hp1_arprot),
    .hp1_arlock_o   (hp1_arlock),
    .hp1_arqos_o    (hp1_arqos),
    .hp1_arvalid_o  (hp1_arvalid),
    .hp1_arready_i  (hp1_arready),
    .hp1_rid_i      (hp1_rid),
    .hp1_rdata_i    (hp1_rdata),
    .hp1_rresp_i    (hp1_rresp),
    .hp1_rlast_i    (hp1_rlast),
    .hp1_rvalid_i   (hp1_rvalid),
    .hp1_rready_o   (hp1_rready),
    .hp1_awid_o     (hp1_awid),
    .hp1_awaddr_o   (hp1_awaddr),
    .hp1_awlen_o    (hp1_awlen),
    .hp1_awsize_o   (hp1_awsize),
    .hp1_awburst_o  (hp1_awburst),
    .hp1_awcache_o  (hp1_awcache),
    .hp1_awprot_o   (hp1_awprot),
    .hp1_awlock_o   (hp1_awlock),
    .hp1_awqos_o    (hp1_awqos),
    .hp1_awvalid_o  (hp1_awvalid),
    .hp1_awready_i  (hp1_awready),
    .hp1_wid_o      (hp1_wid),
    .hp1_wdata_o    (hp1_wdata),
    .hp1_wstrb_o    (hp1_wstrb),
    .hp1_wlast_o    (hp1_wlast),
    .hp1_wvalid_o   (hp1_wvalid),
    .hp1_wready_i   (hp1_wready),
    .hp1_bid_i      (hp1_bid),
    .hp1_bresp_i    (hp1_bresp),
    .hp1_bvalid_i   (hp1_bvalid),
    .hp1_bready_o   (hp1_bready)
  );

  PS7 u_ps7 (
    .FCLKCLK              (fclk),
    .FCLKRESETN           (fclk_rst_n),
    .IRQF2P               ({19'd0, irq}),
    .MAXIGP0ACLK          (clk),
    .MAXIGP0ARID          (gp_arid),
    .MAXIGP0ARADDR        (gp_araddr),
    .MAXIGP0ARLEN         (gp_arlen),
    .MAXIGP0ARSIZE        (gp_arsize),
    .MAXIGP0ARBURST       (gp_arburst),
    .MAXIGP0ARVALID       (gp_arvalid),
    .MAXIGP0ARREADY       (gp_arready),
    .MAXIGP0RID           (gp_rid),
    .MAXIGP0RDATA         (gp_rdata),
    .MAXIGP0RRESP         (gp_rresp),
    .MAXIGP0RLAST         (gp_rlast),
    .MAXIGP0RVALID        (gp_rvalid),
    .MAXIGP0RREADY        (gp_rready),
    .MAXIGP0AWID          (gp_awid),
    .MAXIGP0AWADDR        (gp_awaddr),
    .MAXIGP0AWSIZE        (gp_awsize),
    .MAXIGP0AWBURST       (gp_awburst),
    .MAXIGP0AWVALID       (gp_awvalid),
    .MAXIGP0AWREADY       (gp_awready),
    .MAXIGP0WDATA         (gp_wdata),
    .MAXIGP0WSTRB         (gp_wstrb),
    .MAXIGP0WLAST         (gp_wlast),
    .MAXIGP0WVALID        (gp_wvalid),
    .MAXIGP0WREADY        (gp_wready),
    .MAXIGP0BID           (gp_bid),
    .MAXIGP0BRESP         (gp_bresp),
    .MAXIGP0BVALID        (gp_bvalid),
    .MAXIGP0BREADY        (gp_bready),
    .SAXIHP0ACLK          (clk),
    .SAXIHP0RDISSUECAP1EN (1'b0),
    .SAXIHP0WRISSUECAP1EN (1'b0),
    .SAXIHP0ARID          (hp0_arid),
    .SAXIHP0ARADDR        (hp0_araddr),
    .SAXIHP0ARLEN         (hp0_arlen),
    .SAXIHP0ARSIZE        (hp0_arsize[1:0]),
    .SAXIHP0ARBURST       (hp0_arburst),
    .SAXIHP0ARCACHE       (hp0_arcache),
    .SAXIHP0ARPROT        (hp0_arprot),
    .SAXIHP0ARLOCK        (hp0_arlock),
    .SAXIHP0ARQOS         (hp0_arqos),
    .SAXIHP0ARVALID       (hp0_arvalid),
    .SAXIHP0ARREADY       (hp0_arready),
    .SAXIHP0RID           (hp0_rid),
    .SAXIHP0RDATA         (hp0_rdata),
    .SAXIHP0RRESP         (hp0_rresp),
    .SAXIHP0RLAST         (hp0_rlast),
    .SAXIHP0RVALID        (hp0_rvalid),
    .SAXIHP0RREADY        (hp0_rready),
    .SAXIHP0AWID          (hp0_awid),
    .SAXIHP0AWADDR        (hp0_awaddr),
    .SAXIHP0AWLEN         (hp0_awlen),
    .SAXIHP0AWSIZE        (hp0_awsize[1:0]),
    .SAXIHP0AWBURST       (hp0_awburst),
    .SAXIHP0AWCACHE       (hp0_awcache),
    .SAXIHP0AWPROT        (hp0_awprot),
    .SAXIHP0AWLOCK        (hp0_awlock),
    .SAXIHP0AWQOS         (hp0_awqos),
    .SAXIHP0AWVALID       (hp0_awvalid),
    .SAXIHP0AWREADY       (hp0_awready),
    .SAXIHP0WID           (hp0_wid),
    .SAXIHP0WDATA         (hp0_wdata),
    .SAXIHP0WSTRB         (hp0_wstrb),
    .SAXIHP0WLAST         (hp0_wlast),
    .SAXIHP0WVALID        (hp0_wvalid),
    .SAXIHP0WREADY        (hp0_wready),
    .SAXIHP0BID           (hp0_bid),
    .SAXIHP0BRESP         (hp0_bresp),
    .SAXIHP0BVALID        (hp0_bvalid),
    .SAXIHP0BREADY        (hp0_bready),
    .SAXIHP2ACLK          (clk),
    .SAXIHP2RDISSUECAP1EN (1'b0),
    .SAXIHP2WRISSUECAP1EN (1'b0),
    .SAXIHP2ARID          (hp1_arid),
    .SAXIHP2ARADDR        (hp1_araddr),
    .SAXIHP2ARLEN         (hp1_arlen),
    .SAXIHP2ARSIZE        (hp1_arsize[1:0]),
    .SAXIHP2ARBURST       (hp1_arburst),
    .SAXIHP2ARCACHE       (hp1_arcache),
    .SAXIHP2ARPROT        (hp1_arprot),
    .SAXIHP2ARLOCK        (hp1_arlock),
    .SAXIHP2ARQOS         (hp1_arqos),
    .SAXIHP2ARVALID       (hp1_arvalid),
    .SAXIHP2ARREADY       (hp1_arready),
    .SAXIHP2RID           (hp1_rid),
    .SAXIHP2RDATA         (hp1_rdata),
    .SAXIHP2RRESP         (hp1_rresp),
    .SAXIHP2RLAST         (hp1_rlast),
    .SAXIHP2RVALID        (hp1_rvalid),
    .SAXIHP2RREADY        (hp1_rready),
    .SAXIHP2AWID          (hp1_awid),
    .SAXIHP2AWADDR        (hp1_awaddr),
    .SAXIHP2AWLEN         (hp1_awlen),
    .SAXIHP2AWSIZE        (hp1_awsize[1:0]),
    .SAXIHP2AWBURST       (hp1_awburst),
    .SAXIHP2AWCACHE       (hp1_awcache),
    .SAXIHP2AWPROT        (hp1_awprot),
    .SAXIHP2AWLOCK        (hp1_awlock),
    .SAXIHP2AWQOS         (hp1_awqos),
    .SAXIHP2AWVALID       (hp1_awvalid),
    .SAXIHP2AWREADY       (hp1_awready),
    .SAXIHP2WID           (hp1_wid),
    .SAXIHP2WDATA         (hp1_wdata),
    .SAXIHP2WSTRB         (hp1_wstrb),
    .SAXIHP2WLAST         (hp1_wlast),
    .SAXIHP2WVALID        (hp1_wvalid),
    .SAXIHP2WREADY        (hp1_wready),
    .SAXIHP2BID           (hp1_bid),
    .SAXIHP2BRESP         (hp1_bresp),
    .SAXIHP2BVALID        (hp1_bvalid),
    .SAXIHP2BREADY        (hp1_bready)
  );

endmodule
